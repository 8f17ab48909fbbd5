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
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
    i++;
  }
  return i;
}

/** The index after the string that opens at `at`; -1 when it does not close before `end`. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) return i + 1;
    if (c === BACKSLASH) i++;
  }
  return -1;
}

/** The span of the value that begins at `at` (not white space). Throws ScanError when it is cut short. */
export function valueSpan(bytes: Uint8Array, at: number, end: number): Span {
  const first = bytes[at]!;
  if (first === QUOTE) {
    const stop = stringEnd(bytes, at, end);
    if (stop < 0) throw new ScanError('a string is not closed');
    return { start: at, end: stop, depth: 0, values: 1 };
  }
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
 * The elements of the array that is the whole of the bytes. `each` is called per element and may throw to
 * stop. Throws ScanError when the array itself is malformed, cut short, or followed by anything.
 */
export function eachElement(bytes: Uint8Array, at: number, each: (span: Span) => void): void {
  const end = bytes.length;
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

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of a span. Throws TypeError when it is not UTF-8. */
export function textOf(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return decoder.decode(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
}

/**
 * Where the value is that JSON Pointer tokens lead to, inside bytes known to be valid JSON. Of members with
 * the same name the last one counts, as in JSON.parse. Null when there is none.
 */
export function locate(
  bytes: Uint8Array,
  span: { start: number; end: number },
  tokens: readonly string[],
): Span | null {
  let at = skipSpace(bytes, span.start, span.end);
  let found: Span | null = valueSpan(bytes, at, span.end);
  for (const token of tokens) {
    at = found.start;
    if (bytes[at] === OPEN_OBJECT) found = member(bytes, found, token);
    else if (bytes[at] === OPEN_ARRAY) found = element(bytes, found, token);
    else return null;
    if (found === null) return null;
  }
  return found;
}

function member(bytes: Uint8Array, object: Span, name: string): Span | null {
  let found: Span | null = null;
  let i = skipSpace(bytes, object.start + 1, object.end);
  while (bytes[i] === QUOTE) {
    const keyEnd = stringEnd(bytes, i, object.end);
    const isIt = isNamed(bytes, i, keyEnd, name);
    i = skipSpace(bytes, keyEnd, object.end);
    if (bytes[i] !== COLON) return null;
    const value = valueSpan(bytes, skipSpace(bytes, i + 1, object.end), object.end);
    if (isIt) found = value;
    i = skipSpace(bytes, value.end, object.end);
    if (bytes[i] === COMMA) i = skipSpace(bytes, i + 1, object.end);
  }
  return found;
}

/** Whether the string from `start` to `end` is this name. An object may have very many: the first other letter ends it. */
function isNamed(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  let at = 0;
  for (let i = start + 1; i < end - 1; i++) {
    const wanted = name.charCodeAt(at++);
    let c = bytes[i]!;
    if (c > 0x7e) return wanted > 0x7e && JSON.parse(textOf(bytes, start, end)) === name;
    if (c === BACKSLASH) {
      const length = bytes[i + 1] === 0x75 ? 6 : 2;
      c = (JSON.parse(`"${textOf(bytes, i, i + length)}"`) as string).charCodeAt(0);
      i += length - 1;
    }
    if (c !== wanted) return false;
  }
  return at === name.length;
}

function element(bytes: Uint8Array, array: Span, token: string): Span | null {
  if (!/^(?:0|[1-9]\d*)$/.test(token)) return null;
  let left = Number(token);
  let i = skipSpace(bytes, array.start + 1, array.end);
  while (i < array.end && bytes[i] !== CLOSE_ARRAY) {
    const value = valueSpan(bytes, i, array.end);
    if (left-- === 0) return value;
    i = skipSpace(bytes, value.end, array.end);
    if (bytes[i] === COMMA) i = skipSpace(bytes, i + 1, array.end);
  }
  return null;
}
