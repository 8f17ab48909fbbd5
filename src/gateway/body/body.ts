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

/** The content-coding of a request; null for none. Throws RequestError `unsupported_encoding` when it is not in `taken`. */
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
 * Times that a body may grow when its content-coding is undone. Events that are much alike shrink a hundredfold; a body
 * beyond these ratios was made to fill memory.
 */
const MAX_RATIO: Record<Coding, number> = { gzip: 250, deflate: 250, br: 500, zstd: 500 };
/** Bytes to which any body may grow, whatever its ratio. */
const FREE = 64 * 1024;

/**
 * Makes the function that gets the bytes of each piece of an inflated body. It throws RequestError `body_too_large` when
 * all pieces have more bytes than the limit or the coding's ratio allow, `overloaded` when there is no room.
 */
export function inflatedGrowth(
  coding: Coding,
  sent: Uint8Array,
  { decompressed }: Limits,
  reservation: { grow(bytes: number): void },
): (bytes: number) => void {
  let size = 0;
  const most = Math.max(FREE, sent.length * MAX_RATIO[coding]);
  return (bytes) => {
    size += bytes;
    if (size > decompressed)
      throw tooLarge(`body has more than ${decompressed} bytes after content-encoding ${coding}`);
    if (size > most)
      throw tooLarge(`body grows more than ${MAX_RATIO[coding]} times by content-encoding ${coding}`);
    reservation.grow(bytes);
  };
}

function tooLarge(detail: string): RequestError {
  return new RequestError('body_too_large', detail);
}
