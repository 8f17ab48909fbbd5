/** JSON Pointer (RFC 6901): its text, the value that it leads to, and the bytes that this value has. */

import { eachElement, eachMember, type Span, skipSpace, textOf, valueSpan } from './scan.ts';

const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const INDEX = /^(?:0|[1-9]\d*)$/;

/** A JSON Pointer that is parsed once and used often. */
export interface Pointer {
  text: string;
  tokens: readonly string[];
}

/** Throws SyntaxError on a malformed one. */
export function makePointer(text: string): Pointer {
  return { text, tokens: parsePointer(text) };
}

/** Tokens of a pointer such as `/a/b~1c`; `''` is the whole document. Throws SyntaxError on a malformed one. */
export function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new SyntaxError(`JSON Pointer must begin with '/': ${pointer}`);
  if (/~(?![01])/.test(pointer))
    throw new SyntaxError(`JSON Pointer has a '~' that is not '~0' or '~1': ${pointer}`);
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value that the tokens lead to, by own members only; undefined when there is none. */
export function resolvePointer(value: unknown, tokens: readonly string[]): unknown {
  let here = value;
  for (const token of tokens) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, token)) return undefined;
    if (Array.isArray(here) && !INDEX.test(token)) return undefined;
    here = (here as Record<string, unknown>)[token];
  }
  return here;
}

/** URI fragment form (RFC 6901 section 6) of a pointer, as problems name places: `#/a`. */
export function fragment(pointer: string): string {
  return `#${pointer.split('/').map(encodeURIComponent).join('/')}`;
}

/**
 * Where the value is that the tokens lead to, in bytes that are one valid JSON text. Of members with the same name the
 * last one counts, as in JSON.parse. Null when there is none.
 */
export function locate(bytes: Uint8Array, tokens: readonly string[]): Span | null {
  let found: Span | null = valueSpan(bytes, skipSpace(bytes, 0, bytes.length), bytes.length);
  for (const token of tokens) {
    const first: number = bytes[found.start]!;
    if (first === OPEN_OBJECT) found = memberAt(bytes, found, token);
    else if (first === OPEN_ARRAY) found = elementAt(bytes, found, token);
    else return null;
    if (found === null) return null;
  }
  return found;
}

function memberAt(bytes: Uint8Array, object: Span, name: string): Span | null {
  let found: Span | null = null;
  eachMember(bytes, object, (start, nameEnd, value) => {
    if (isNamed(bytes, start, nameEnd, name)) found = value;
  });
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

function elementAt(bytes: Uint8Array, array: Span, token: string): Span | null {
  if (!INDEX.test(token)) return null;
  let left = Number(token);
  let found: Span | null = null;
  eachElement(bytes, array.start, array.end, (span) => {
    if (left-- === 0) found = span;
  });
  return found;
}
