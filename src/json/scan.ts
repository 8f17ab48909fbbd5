/**
 * Finds JSON values in bytes without building them. It trusts the inside of a value (JSON.parse judges that
 * later, per value) and is exact for all valid JSON: strings and brackets decide where a value ends.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A value's place in the bytes, how deeply it nests (a scalar 0, `{}` 1), and at most how many values it holds. */
export interface Span {
  start: number;
  end: number;
  depth: number;
  values: number;
}

export class ScanError extends Error {
  override readonly name = 'ScanError';
}

/** First index at or after `at` that is not JSON white space. */
export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end) {
    const c = bytes[i]!;
    if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) break;
    i++;
  }
  return i;
}

/** The index after the string that opens at `at`. Throws ScanError when it does not close before `end`. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) return i + 1;
    if (c === BACKSLASH) i++;
  }
  throw new ScanError('a string is not closed');
}

/** The span of the value that begins at `at` (not white space). Throws ScanError when it is cut short. */
export function valueSpan(bytes: Uint8Array, at: number, end: number): Span {
  const first = bytes[at]!;
  if (first === QUOTE) return { start: at, end: stringEnd(bytes, at, end), depth: 0, values: 1 };
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
    let i = at;
    while (i < end) {
      const c = bytes[i]!;
      if (c === COMMA || c === CLOSE_ARRAY || c === CLOSE_OBJECT || c <= 0x20) break;
      i++;
    }
    if (i === at) throw new ScanError(`unexpected byte at ${at}`);
    return { start: at, end: i, depth: 0, values: 1 };
  }
  let depth = 1;
  let deepest = 1;
  // Each value but the whole follows a comma, or is the first in its container.
  let values = 2;
  for (let i = at + 1; i < end; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) {
      for (i++; i < end; i++) {
        const d = bytes[i]!;
        if (d === QUOTE) break;
        if (d === BACKSLASH) i++;
      }
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (++depth > deepest) deepest = depth;
      values++;
    } else if (c === COMMA) {
      values++;
    } else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) {
      if (--depth === 0) return { start: at, end: i + 1, depth: deepest, values };
    }
  }
  throw new ScanError('an object or array is not closed');
}

/**
 * Calls `each` with each element of the array that opens at `at`; it may throw to stop. Throws ScanError when the
 * array itself is malformed, is cut short, or does not end at `end`.
 */
export function eachElement(bytes: Uint8Array, at: number, end: number, each: (span: Span) => void): void {
  let i = skipSpace(bytes, at + 1, end);
  if (bytes[i] === CLOSE_ARRAY) {
    i++;
  } else {
    for (;;) {
      if (i >= end) throw new ScanError('the array is not closed');
      const span = valueSpan(bytes, i, end);
      each(span);
      i = skipSpace(bytes, span.end, end);
      const c = bytes[i];
      if (c === CLOSE_ARRAY) {
        i++;
        break;
      }
      if (c !== COMMA) throw new ScanError(i >= end ? 'the array is not closed' : `unexpected byte at ${i}`);
      i = skipSpace(bytes, i + 1, end);
    }
  }
  if (skipSpace(bytes, i, end) !== end) throw new ScanError('something follows the array');
}

/** Gets a member's value, and where its name is: from `start` to `nameEnd`, with its quotes. */
export type EachMember = (start: number, nameEnd: number, value: Span) => void;

/**
 * Calls `each` with each member of the object that the span is, in their order; a name may come more than once.
 * Throws ScanError when anything but members and commas is between the braces.
 */
export function eachMember(
  bytes: Uint8Array,
  object: { start: number; end: number },
  each: EachMember,
): void {
  const brace = object.end - 1;
  let i = skipSpace(bytes, object.start + 1, brace);
  if (i === brace) return;
  for (;;) {
    if (bytes[i] !== QUOTE) throw new ScanError(`a name must be a string, at ${i}`);
    const nameEnd = stringEnd(bytes, i, brace);
    const colon = skipSpace(bytes, nameEnd, brace);
    if (bytes[colon] !== COLON) throw new ScanError(`a name without a value, at ${colon}`);
    const value = valueSpan(bytes, skipSpace(bytes, colon + 1, brace), brace);
    each(i, nameEnd, value);
    i = skipSpace(bytes, value.end, brace);
    if (i === brace) return;
    if (bytes[i] !== COMMA) throw new ScanError(`unexpected byte at ${i}`);
    i = skipSpace(bytes, i + 1, brace);
  }
}

/** The name from `start` to `end`, with its quotes there. Throws SyntaxError or TypeError when it is no JSON string. */
export function nameText(bytes: Uint8Array, start: number, end: number): string {
  let name = '';
  // Names are mostly plain ASCII: for a few letters a decoder costs more than reading them one by one.
  for (let i = start + 1; i < end - 1; i++) {
    const c = bytes[i]!;
    if (c < 0x20 || c > 0x7e || c === BACKSLASH) return JSON.parse(textOf(bytes, start, end)) as string;
    name += String.fromCharCode(c);
  }
  return name;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of a span. Throws TypeError when it is not UTF-8. */
export function textOf(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return decoder.decode(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
}
