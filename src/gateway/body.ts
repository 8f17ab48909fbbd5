import type { Limits } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { Coding } from '../ports/platform.ts';

const CODINGS: Record<string, Coding> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
};

/** The content-coding of a request, null for none. Throws RequestError `unsupported_encoding` unless it is taken. */
export function codingOf(header: string | undefined, taken: readonly Coding[]): Coding | null {
  if (header === undefined) return null;
  const name = header.trim().toLowerCase();
  if (name === '' || name === 'identity') return null;
  const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name]! : null;
  if (coding !== null && taken.includes(coding)) return coding;
  const list = taken.join(', ');
  throw new RequestError('unsupported_encoding', `Content-Encoding must be one of ${list}, identity`, {
    'accept-encoding': list,
  });
}

/** Bytes that the request announces, or null. Throws RequestError `body_too_large` before any is read. */
export function announcedLength(header: string | undefined, limits: Limits): number | null {
  if (header === undefined) return null;
  const length = Number(header);
  if (length > limits.body) throw tooLarge(length, limits.body);
  return length;
}

function tooLarge(length: number, limit: number): RequestError {
  return new RequestError('body_too_large', `body has ${length} bytes; the limit is ${limit}`);
}
