import { isLoopback } from '../../core/host.ts';
import type { Path } from '../text/path.ts';
import type { TlsConfig } from './tls.ts';

/** A setting that works but is not secure. */
export interface Weakness {
  path: Path;
  message: string;
  /**
   * `danger`: strangers get access by mistake; each start warns of it. `weak`: fit for a trial only. `note`: depends on
   * the network, so it is never an error.
   */
  level: 'danger' | 'weak' | 'note';
}

export interface Secret {
  path: Path;
  text: string;
}

/** Bytes of a secret that nobody guesses. */
const MIN_SECRET_BYTES = 16;
/** Secrets of the sample config, of compose.yaml, and of the documents of Standard Webhooks. */
const SAMPLES = new Set([
  'sample-write-key',
  'sample-secret',
  'for-this-laptop-only',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
]);

export function weakSecret({ path, text }: Secret): Weakness[] {
  if (SAMPLES.has(text))
    return [weak(path, 'is a secret of the examples, which everybody knows; make a new one')];
  const bytes = Buffer.byteLength(text);
  if (bytes >= MIN_SECRET_BYTES) return [];
  return [
    weak(
      path,
      `has ${bytes} byte${bytes === 1 ? '' : 's'} and can be guessed; use ${MIN_SECRET_BYTES} random bytes or more`,
    ),
  ];
}

export function weakTls(path: Path, tls: TlsConfig | null): Weakness[] {
  if (tls === null || tls.verify) return [];
  return [weak([...path, 'verify'], 'false trusts any server; name its authority in ca')];
}

/** Whether others on the network can read requests to a URL. */
export function isReadable(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed?.protocol === 'http:' && !isLoopback(parsed.hostname);
}

export function weak(path: Path, message: string): Weakness {
  return { path, message, level: 'weak' };
}

export function note(path: Path, message: string): Weakness {
  return { path, message, level: 'note' };
}
