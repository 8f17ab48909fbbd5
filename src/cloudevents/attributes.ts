import { isDateTime } from '../core/date-time.ts';
import { unusable } from '../core/header-text.ts';
import { textOf } from '../json/scan.ts';

const NAME = /^[a-z0-9]+$/;
const QUOTED = /^"(?:[^"\\]|\\.)*"$/s;
const TEXTS = ['time', 'dataschema', 'subject'];
const MAX_INTEGER = 2 ** 31;
/** Attributes of an event: common servers take no more than 100 header fields. */
const MAX_ATTRIBUTES = 64;
/** Characters of a time: nanoseconds and an offset are 35. */
const MAX_TIME = 64;
/** Bytes that all attributes of an event may have as HTTP headers. Node takes 16 KiB of headers, and there are others. */
export const ATTRIBUTE_BYTES = 8192;
/** Bytes of a header field beside the attribute's name and value: `ce-`, `: ` and the line's end. */
const FIELD = 7;

/** CloudEvents attributes by name. Without a prototype: names come from clients and may be `constructor`. */
export type Attributes = Record<string, unknown>;

/** Counts how often functions have answered an event; whoever sends one from outside begins at none. */
export const HOPS = 'posternhops';

const RESERVED = new Set(['device', 'clientip', 'dedupe']);

/** True for names that the gateway vouches for: nobody outside can give an event an attribute of such a name. */
export function isReserved(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('postern');
}

/** True for a media type that says that the data is itself a CloudEvent, however it is written. */
export function isEventType(contentType: string): boolean {
  return EVENT_TYPE.test(contentType);
}

const EVENT_TYPE = /^[\s\u0000-\u001f\u007f"]*application\s*\/\s*cloudevents/i;

/** RFC 3339, and not longer than a time has reason to be. */
export function isEventTime(text: string): boolean {
  return text.length <= MAX_TIME && isDateTime(text);
}

/** Told of what is wrong: which attribute or header, and why. */
type Bad = (name: string, why: string) => void;

/** Attributes of binary mode, from headers by their lower-case names; `bad` is told the header. */
export function headerAttributes(headers: Iterable<[string, string]>, bad: Bad): Attributes {
  const attributes: Attributes = Object.create(null);
  for (const [header, value] of headers) {
    if (!header.startsWith('ce-')) continue;
    const name = header.slice(3);
    if (name === 'datacontenttype') bad(header, 'is not allowed in binary mode; use Content-Type');
    else if (name === 'data') bad(header, 'is not allowed: data is the body');
    else if (Object.hasOwn(attributes, name)) bad(header, 'is there twice');
    else {
      const text = percentDecode(value);
      if (text === null) bad(header, 'is not percent-encoded UTF-8');
      else attributes[name] = text;
    }
  }
  return attributes;
}

/** What attributes may have: characters of the id, and bytes of all of them as HTTP headers. */
export interface AttributeLimits {
  id: number;
  bytes: number;
}

/** Checks attributes (CloudEvents 3.1); those that are good become record headers. */
export function fillHeaders(
  headers: Record<string, string>,
  attributes: Attributes,
  limits: AttributeLimits,
  bad: Bad,
): void {
  const all = Object.entries(attributes);
  if (all.length > MAX_ATTRIBUTES) {
    bad('', `has ${all.length} attributes; the limit is ${MAX_ATTRIBUTES}`);
    return;
  }
  for (const name of ['id', 'source', 'specversion', 'type']) {
    const value = attributes[name];
    if (value === undefined || value === null || value === '') bad(name, 'is missing');
    else if (typeof value !== 'string') bad(name, 'must be a string');
  }
  const { specversion, time, dataschema, subject } = attributes;
  if (typeof specversion === 'string' && specversion !== '' && specversion !== '1.0')
    bad('specversion', `must be 1.0, not ${specversion.slice(0, 16)}`);
  let room = limits.bytes;
  for (const [name, value] of all) {
    if (value === null) continue;
    if (!NAME.test(name)) {
      bad(name.slice(0, 64), 'is not a name of lower-case letters and digits');
      continue;
    }
    const text = String(value);
    const problem = attributeProblem(value) ?? unusable(text, name === 'id' ? limits.id : limits.bytes);
    if (problem !== null) {
      bad(name, problem);
      continue;
    }
    const size = FIELD + name.length + encodedLength(text);
    if (size > room) {
      bad(name, `is too much: all attributes together may have ${limits.bytes} bytes as HTTP headers`);
      continue;
    }
    room -= size;
    headers[`ce_${name}`] = text;
  }
  for (const name of TEXTS) {
    const value = attributes[name];
    if (value !== undefined && value !== null && typeof value !== 'string') bad(name, 'must be a string');
  }
  if (typeof time === 'string' && headers.ce_time !== undefined && !isEventTime(time))
    bad('time', `must be an RFC 3339 date-time of at most ${MAX_TIME} characters`);
  if (typeof dataschema === 'string' && !URL.canParse(dataschema))
    bad('dataschema', 'must be an absolute URI');
  if (subject === '') bad('subject', 'must not be empty');
}

function attributeProblem(value: unknown): string | null {
  if (typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value !== 'number') return 'must be a string, boolean or integer';
  if (Number.isInteger(value) && value >= -MAX_INTEGER && value < MAX_INTEGER) return null;
  return 'must be an integer of 32 bits when it is a number';
}

/** Bytes of a text as an HTTP header's value: percent-encoded UTF-8 where it must be (HTTP binding 3.1.3.2). */
function encodedLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x20 && code < 0x7f && code !== 0x22 && code !== 0x25) continue;
    // Half of a surrogate pair stands for two bytes of the four.
    length += code < 0x80 ? 2 : code < 0x800 || (code & 0xf800) === 0xd800 ? 5 : 8;
  }
  return length;
}

/**
 * Header value -> text: unquote, then percent-decode once (HTTP binding 3.1.3.2); null on bad UTF-8. What should
 * have been percent-encoded comes as one character for each byte: UTF-8 as a rule, Latin-1 from SDKs that hand
 * header values to Node's client as they are.
 */
function percentDecode(value: string): string | null {
  const text = QUOTED.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value;
  if (!/[%\u0080-\uffff]/.test(text)) return text;
  return (
    decoded(text, (code) => [code]) ?? decoded(text, (code) => encoder.encode(String.fromCodePoint(code)))
  );
}

const encoder = new TextEncoder();

/** `raw` gives the bytes of a character from U+0080 to U+00FF. */
function decoded(text: string, raw: (code: number) => Iterable<number>): string | null {
  const bytes: number[] = [];
  for (const [part, hex] of text.matchAll(/%([0-9a-f]{2})|./gisu)) {
    const code = hex === undefined ? part.codePointAt(0)! : Number.parseInt(hex, 16);
    if (hex !== undefined || code < 0x80) bytes.push(code);
    else if (code <= 0xff) bytes.push(...raw(code));
    else bytes.push(...encoder.encode(part));
  }
  try {
    return textOf(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}
