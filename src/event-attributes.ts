import { isDateTime } from './date-time.ts';
import { textOf } from './scan.ts';

const NAME = /^[a-z0-9]+$/;
const QUOTED = /^"(?:[^"\\]|\\.)*"$/s;
const TEXTS = ['time', 'dataschema', 'subject'];
/** Characters of an attribute: an event of 64 KiB must pass however it is made up (CloudEvents, size limits). */
const MAX_ATTRIBUTE = 65_536;
const MAX_INTEGER = 2 ** 31;

/** CloudEvents attributes by name. Without a prototype: names come from clients and may be `constructor`. */
export type Attributes = Record<string, unknown>;

/** Counts how often functions have answered an event; whoever sends one from outside begins at none. */
export const HOPS = 'posternhops';

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

/** Checks attributes (CloudEvents 3.1); those that are good become record headers. `idLimit` is in characters. */
export function fillHeaders(
  headers: Record<string, string>,
  attributes: Attributes,
  idLimit: number,
  bad: Bad,
): void {
  for (const name of ['id', 'source', 'specversion', 'type']) {
    const value = attributes[name];
    if (value === undefined || value === null || value === '') bad(name, 'is missing');
    else if (typeof value !== 'string') bad(name, 'must be a string');
  }
  const { specversion, time, dataschema, subject } = attributes;
  if (typeof specversion === 'string' && specversion !== '' && specversion !== '1.0')
    bad('specversion', `must be 1.0, not ${specversion.slice(0, 16)}`);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) continue;
    if (!NAME.test(name)) {
      bad(name.slice(0, 64), 'is not a name of lower-case letters and digits');
      continue;
    }
    const problem =
      attributeProblem(value) ?? unusable(String(value), name === 'id' ? idLimit : MAX_ATTRIBUTE);
    if (problem === null) headers[`ce_${name}`] = String(value);
    else bad(name, problem);
  }
  for (const name of TEXTS) {
    const value = attributes[name];
    if (value !== undefined && value !== null && typeof value !== 'string') bad(name, 'must be a string');
  }
  if (typeof time === 'string' && !isDateTime(time)) bad('time', 'must be an RFC 3339 date-time');
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

/** Text that may become a CloudEvents attribute, a Kafka header or a key: no control characters, no lone surrogates (CloudEvents 3.1). */
const UNUSABLE =
  /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Why a text can't be an attribute, or null. */
export function unusable(text: string, limit: number): string | null {
  if (text.length > limit) return `has ${text.length} characters; the limit is ${limit}`;
  if (!isPlain(text) && UNUSABLE.test(text)) return 'holds a control character or half of a surrogate pair';
  return null;
}

/** Printable ASCII: most attributes are, and a look at each is a fraction of what the pattern takes. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
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
