import { isDateTime } from '../core/date-time.ts';
import { type EventError, eventError } from '../core/event.ts';
import { unusable } from '../core/header-text.ts';
import { textOf } from '../json/scan.ts';

const NAME = /^[a-z0-9]+$/;
const QUOTED = /^"(?:[^"\\]|\\.)*"$/s;
const TEXTS = ['time', 'dataschema', 'subject'];
const MAX_INTEGER = 2 ** 31;
/** Attributes of an event: common servers take no more than 100 header fields. */
const MAX_ATTRIBUTES = 64;
/** Errors of the attributes of one event: a reply lists no more. */
const MAX_ERRORS = 20;
/** Characters of a time: nanoseconds and an offset are 35. */
const MAX_TIME = 64;
/** Bytes that all attributes of an event may have as HTTP headers. Node takes 16 KiB of headers, and there are others. */
export const ATTRIBUTE_BYTES = 8192;
/** Bytes of a header field beside the attribute's name and value: `ce-`, `: ` and the line's end. */
const FIELD = 7;

/** CloudEvents attributes by name. Without a prototype: names come from clients and may be `constructor`. */
export type Attributes = Record<string, unknown>;

/** Counts the function answers between an event and the one that came from outside, which has 0. */
export const HOPS = 'posternhops';

const RESERVED = new Set(['device', 'clientip', 'dedupe']);

/** True for names that only the gateway gives: an event from outside loses attributes of such a name. */
function isReserved(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('postern');
}

/** RFC 3339, of at most `MAX_TIME` characters. */
export function isEventTime(text: string): boolean {
  return text.length <= MAX_TIME && isDateTime(text);
}

/** Attributes of binary mode, from headers by their lower-case names, and the errors of those that cannot be read. */
export function headerAttributes(headers: Iterable<[string, string]>): {
  attributes: Attributes;
  errors: EventError[];
} {
  const attributes: Attributes = Object.create(null);
  const errors: EventError[] = [];
  for (const [header, value] of headers) {
    if (!header.startsWith('ce-')) continue;
    const name = header.slice(3);
    const text = percentDecode(value);
    const problem = headerProblem(name, text) ?? (Object.hasOwn(attributes, name) ? 'is there twice' : null);
    if (problem === null) attributes[name] = text;
    else errors.push(eventError('bad_cloudevent', `header ${header} ${problem}`));
  }
  return { attributes, errors };
}

function headerProblem(name: string, text: string | null): string | null {
  if (name === 'datacontenttype') return 'is not allowed in binary mode; use Content-Type';
  if (name === 'data') return 'is not allowed: data is the body';
  return text === null ? 'is not percent-encoded UTF-8' : null;
}

export interface ReadRules {
  /** Characters of the id. */
  id: number;
  /** Characters of `datacontenttype`. */
  contentType: number;
  /** Bytes of all attributes as HTTP headers. */
  bytes: number;
  /** Whether attributes that only the gateway gives are left out. */
  dropReserved: boolean;
  /** Record headers of an event that has no attribute for them. */
  defaults: Readonly<Record<string, string>>;
}

/**
 * Checks attributes (CloudEvents 3.1). The good ones become record headers; `nameOf` gives the name of an attribute in
 * errors.
 */
export function checkAttributes(
  attributes: Attributes,
  { id: maxId, bytes: maxBytes, dropReserved, defaults }: ReadRules,
  nameOf: (name: string) => string,
): { headers: Record<string, string>; errors: EventError[] } {
  const headers = { ...defaults };
  const errors: EventError[] = [];
  const bad = (name: string, why: string) => {
    if (errors.length < MAX_ERRORS)
      errors.push(eventError('bad_cloudevent', `${nameOf(name)} ${why}`, `#/${name}`));
  };
  const names = Object.keys(attributes).filter((name) => !dropReserved || !isReserved(name));
  if (names.length > MAX_ATTRIBUTES) {
    const detail = `event has ${names.length} attributes; the limit is ${MAX_ATTRIBUTES}`;
    return { headers, errors: [eventError('bad_cloudevent', detail, '#')] };
  }
  for (const name of ['id', 'source', 'specversion', 'type']) {
    const value = attributes[name];
    if (value === undefined || value === null || value === '') bad(name, 'is missing');
    else if (typeof value !== 'string') bad(name, 'must be a string');
  }
  const { specversion, time, dataschema, subject } = attributes;
  if (typeof specversion === 'string' && specversion !== '' && specversion !== '1.0')
    bad('specversion', `must be 1.0, not ${specversion.slice(0, 16)}`);
  let room = maxBytes;
  for (const name of names) {
    const value = attributes[name];
    if (value === null) continue;
    if (!NAME.test(name)) {
      bad(name.slice(0, 64), 'is not a name of lower-case letters and digits');
      continue;
    }
    const text = String(value);
    const problem = attributeProblem(value) ?? unusable(text, name === 'id' ? maxId : maxBytes);
    if (problem !== null) {
      bad(name, problem);
      continue;
    }
    const size = FIELD + name.length + encodedLength(text);
    if (size > room) {
      bad(name, `is too much: all attributes together may have ${maxBytes} bytes as HTTP headers`);
      continue;
    }
    room -= size;
    headers[`ce_${name}`] = text;
  }
  for (const name of TEXTS) {
    const value = attributes[name];
    if (value !== undefined && value !== null && typeof value !== 'string') bad(name, 'must be a string');
  }
  if (typeof time === 'string' && headers.ce_time === time && !isEventTime(time))
    bad('time', `must be an RFC 3339 date-time of at most ${MAX_TIME} characters`);
  if (typeof dataschema === 'string' && !URL.canParse(dataschema))
    bad('dataschema', 'must be an absolute URI');
  if (subject === '') bad('subject', 'must not be empty');
  return { headers, errors };
}

function attributeProblem(value: unknown): string | null {
  if (typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value !== 'number') return 'must be a string, boolean or integer';
  if (Number.isInteger(value) && value >= -MAX_INTEGER && value < MAX_INTEGER) return null;
  return 'must be an integer of 32 bits when it is a number';
}

/** Bytes of a text as the value of an HTTP header, which is percent-encoded UTF-8 (HTTP binding 3.1.3.2). */
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
 * The text of a header value: unquoted, then percent-decoded once (HTTP binding 3.1.3.2); null on bad UTF-8. Some SDKs
 * do not percent-encode. Node gives each byte of theirs as one character: the bytes are UTF-8 as a rule, and Latin-1
 * from SDKs that hand header values to Node's client unchanged.
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
