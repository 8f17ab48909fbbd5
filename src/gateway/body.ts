import type { Limits } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { Coding, Platform } from '../ports/platform.ts';

const CODINGS: Record<string, Coding> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
};

/** The content-coding of a request, null for none. Throws RequestError `unsupported_encoding`. */
export function codingOf(header: string | undefined): Coding | null {
  if (header === undefined) return null;
  const name = header.trim().toLowerCase();
  if (name === '' || name === 'identity') return null;
  if (Object.hasOwn(CODINGS, name)) return CODINGS[name]!;
  throw new RequestError(
    'unsupported_encoding',
    'Content-Encoding must be one of gzip, deflate, br, zstd, identity',
    {
      'accept-encoding': 'gzip, deflate, br, zstd',
    },
  );
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

export interface WholeOptions {
  coding: Coding | null;
  /** Bytes that the request announced, which are accounted for already; null when it did not. */
  announced: number | null;
  platform: Platform;
  limits: Limits;
}

const ignore = () => {};

/** Reads the body, once, and undoes its content-coding; both sizes are capped. `grow` is told of bytes before they are kept, and may throw. */
export function readWhole(
  request: Request,
  env: unknown,
  { coding, announced, platform, limits }: WholeOptions,
  grow: (bytes: number) => void,
): Promise<Uint8Array> {
  const body = platform.readBody(request, env, {
    limit: limits.body,
    timeout: limits.bodyTime,
    grow: announced === null ? grow : ignore,
  });
  if (coding === null) return body;
  return body.then(async (bytes) => {
    if (bytes.length === 0) return bytes;
    const inflated = await platform.inflate(coding, bytes, limits.decompressed);
    grow(inflated.length);
    return inflated;
  });
}
