import type { Limits } from '../../config/gateway/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Coding } from '../../ports/platform.ts';

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

/** Throws RequestError `body_too_large` before anything is read, when the request announces too much. */
export function checkAnnounced(header: string | undefined, limits: Limits): void {
  if (header !== undefined && Number(header) > limits.body)
    throw new RequestError('body_too_large', `body has ${header} bytes; the limit is ${limits.body}`);
}

/**
 * Times that a body may grow by its content-coding. Events that are much alike are packed a hundred times smaller;
 * what goes beyond is made to fill memory.
 */
const MAX_RATIO: Record<Coding, number> = { gzip: 250, deflate: 250, br: 500, zstd: 500 };
/** Bytes that any body may become. */
const FREE = 64 * 1024;

/**
 * Makes what is told of each piece that a body becomes. It throws RequestError `body_too_large` when that is more than
 * the limit or its coding's ratio allow, `overloaded` when there is no room.
 */
export function inflatedGrowth(
  coding: Coding,
  sent: Uint8Array,
  { decompressed }: Limits,
  hold: { grow(bytes: number): void },
): (bytes: number) => void {
  let size = 0;
  const most = Math.max(FREE, sent.length * MAX_RATIO[coding]);
  return (bytes) => {
    size += bytes;
    if (size > decompressed)
      throw tooLarge(`body has more than ${decompressed} bytes after content-encoding ${coding}`);
    if (size > most)
      throw tooLarge(`body grows more than ${MAX_RATIO[coding]} times by content-encoding ${coding}`);
    hold.grow(bytes);
  };
}

function tooLarge(detail: string): RequestError {
  return new RequestError('body_too_large', detail);
}
