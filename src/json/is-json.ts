import { isUtf8 } from 'node:buffer';
import { skipSpace } from './scan.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LETTER_U = 0x75;
/** The bytes that may follow a backslash, without `u`. */
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));
/** 1 for bytes that may stand in a string without an escape. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 0 : 1,
);
const WORDS = ['true', 'false', 'null'].map((word) => Buffer.from(word));
/** Levels of arrays and objects whose kinds fit into the bits of one number. */
const DEEPEST = 30;

/** Whether bytes are one JSON text in UTF-8, as `JSON.parse` would take it (RFC 8259), for about half of its cost. */
export function isJson(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && isText(bytes);
}

function isText(bytes: Uint8Array): boolean {
  const end = bytes.length;
  let depth = 0;
  /** The bit of each depth tells an array from an object. */
  let arrays = 0;
  let at = skipSpace(bytes, 0, bytes.length);
  for (;;) {
    // Here a value begins.
    const first = at < end ? bytes[at]! : 0;
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (depth === DEEPEST) return isParsed(bytes);
      at = skipSpace(bytes, at + 1, bytes.length);
      const isArray = first === OPEN_ARRAY;
      if (at < end && bytes[at] === (isArray ? CLOSE_ARRAY : CLOSE_OBJECT)) at++;
      else {
        depth++;
        arrays = isArray ? arrays | (1 << depth) : arrays & ~(1 << depth);
        if (!isArray) at = nameEnd(bytes, at);
        if (at < 0) return false;
        continue;
      }
    } else if (first === QUOTE) at = stringEnd(bytes, at + 1);
    else if (first === MINUS || isDigit(first)) at = numberEnd(bytes, at);
    else at = wordEnd(bytes, at);
    if (at < 0) return false;
    // Here one has ended.
    for (;;) {
      at = skipSpace(bytes, at, bytes.length);
      if (depth === 0) return at === end;
      const next = at < end ? bytes[at++]! : 0;
      const isArray = (arrays & (1 << depth)) !== 0;
      if (next === 0x2c) {
        at = skipSpace(bytes, at, bytes.length);
        if (!isArray) at = nameEnd(bytes, at);
        if (at < 0) return false;
        break;
      }
      if (next !== (isArray ? CLOSE_ARRAY : CLOSE_OBJECT)) return false;
      depth--;
    }
  }
}

function isParsed(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

/** Where the value of the member begins whose name should be at `at`; -1 when there is none. */
function nameEnd(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length || bytes[at] !== QUOTE) return -1;
  const end = stringEnd(bytes, at + 1);
  if (end < 0) return -1;
  const colon = skipSpace(bytes, end, bytes.length);
  return colon < bytes.length && bytes[colon] === 0x3a ? skipSpace(bytes, colon + 1, bytes.length) : -1;
}

/** After the string whose text begins at `at`; -1 when it is none. */
function stringEnd(bytes: Uint8Array, at: number): number {
  const end = bytes.length;
  for (let i = at; i < end; i++) {
    const byte = bytes[i]!;
    if (PLAIN[byte] === 1) continue;
    if (byte === QUOTE) return i + 1;
    if (byte !== BACKSLASH || ++i >= end) return -1;
    if (bytes[i] === LETTER_U) {
      if (i + 4 >= end) return -1;
      for (let digit = 0; digit < 4; digit++) if (!isHex(bytes[++i]!)) return -1;
    } else if (!ESCAPED.has(bytes[i]!)) return -1;
  }
  return -1;
}

function numberEnd(bytes: Uint8Array, at: number): number {
  let i = bytes[at] === MINUS ? at + 1 : at;
  const whole = digitsEnd(bytes, i);
  if (whole === i || (bytes[i] === ZERO && whole > i + 1)) return -1;
  i = whole;
  if (i < bytes.length && bytes[i] === 0x2e) {
    const fraction = digitsEnd(bytes, i + 1);
    if (fraction === i + 1) return -1;
    i = fraction;
  }
  if (i >= bytes.length || (bytes[i]! | 0x20) !== 0x65) return i;
  const sign = i + 1 < bytes.length ? bytes[i + 1] : 0;
  const from = sign === MINUS || sign === 0x2b ? i + 2 : i + 1;
  const exponent = digitsEnd(bytes, from);
  return exponent === from ? -1 : exponent;
}

function digitsEnd(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < bytes.length && isDigit(bytes[i]!)) i++;
  return i;
}

function wordEnd(bytes: Uint8Array, at: number): number {
  for (const word of WORDS) if (word.every((byte, i) => bytes[at + i] === byte)) return at + word.length;
  return -1;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

function isHex(byte: number): boolean {
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66);
}
