import type { Token } from 'cborg';
import { toBase64Url } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import { textOf } from '../../json/scan.ts';

/** Bytes of the longest integer that is written out: the work grows with the square of the length. */
export const MAX_BIGNUM = 256;

/** JSON text of an item that holds no others; null when it has none. Throws RequestError `not_cbor`. */
export function scalarText(token: Token): string | null {
  const { type, value } = token;
  switch (type.name) {
    case 'string':
      return JSON.stringify(stringOf(token));
    case 'bytes':
      return `"${toBase64Url(value)}"`;
    case 'uint':
    case 'negint':
      return String(value);
    case 'float':
      if (!Number.isFinite(value)) return null;
      return Object.is(value, -0) ? '-0' : String(value);
    case 'true':
    case 'false':
    case 'null':
      return type.name;
    case 'undefined':
      return null;
    default:
      throw notCbor('it has a break where none may be');
  }
}

/** The fewest characters that the JSON text of a string or byte string can have; 0 for other items, which are short. */
export function leastLength({ type, value }: Token): number {
  if (type.name === 'string') return value.length + 2;
  return type.name === 'bytes' ? Math.ceil((value.length * 4) / 3) + 2 : 0;
}

/** Text of an integer, or of a big one when it has tag 2 or 3; null over `MAX_BIGNUM`. Throws RequestError `not_cbor`. */
export function integerText({ type, value }: Token, tag: number | null): string | null {
  if (tag === null && (type.name === 'uint' || type.name === 'negint')) return String(value);
  if ((tag !== 2 && tag !== 3) || type.name !== 'bytes')
    throw notCbor('a number has content of a wrong kind');
  const bytes = value as Uint8Array;
  if (bytes.length > MAX_BIGNUM) return null;
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return String(tag === 2 ? number : -1n - number);
}

/** The library puts U+FFFD in the place of bytes that are not UTF-8, so the bytes are read again, strictly. */
export function stringOf({ value, byteValue }: Token): string {
  if (byteValue === undefined) return value;
  try {
    return textOf(byteValue);
  } catch {
    throw notCbor('it has text that is not UTF-8');
  }
}

export function notCbor(reason: string): RequestError {
  return new RequestError('not_cbor', `body can't be read as CBOR: ${reason}`);
}
