import { isUtf8 } from 'node:buffer';
import { parseJson as parseText } from '../json/parse.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** CloudEvents context attributes by name, as text. */
type Attributes = Record<string, string>;

/** A record seen as a CloudEvent. */
export interface CloudEvent {
  /** Context attributes without `datacontenttype`; always with id, source, type and specversion. */
  attributes: Attributes;
  contentType: string | null;
  /** The data's bytes, in binary mode the record's value; null for an event without data. */
  data: Uint8Array | null;
}

const ATTRIBUTE = /^[a-z0-9]+$/;
const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i;
/** What an HTTP header can carry; anything else in a foreign record is not a media type. */
const PRINTABLE = /^[!-~][ -~]*$/;

/** A view of the same bytes, which is cheaper to turn into text than a Uint8Array. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Text of a record's header, or null when there is none. */
export function headerText(record: StoredRecord, name: string): string | null {
  const bytes = Object.hasOwn(record.headers, name) ? record.headers[name] : undefined;
  return bytes === undefined ? null : asBuffer(bytes).toString('utf8');
}

/** The record's `content-type`, or null. */
export function contentTypeOf(record: StoredRecord): string | null {
  const text = headerText(record, 'content-type') ?? headerText(record, 'ce_datacontenttype');
  return text !== null && PRINTABLE.test(text) ? text : null;
}

/** True for JSON and everything with a `+json` suffix. */
export function isJsonType(contentType: string): boolean {
  return JSON_TYPE.test(contentType);
}

/** True for a CloudEvent in structured mode (CloudEvents Kafka binding, section 3.3). */
export function isStructured(contentType: string | null): boolean {
  return contentType?.slice(0, 23).toLowerCase() === 'application/cloudevents';
}

/** The text of UTF-8 bytes, or undefined when they are something else. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? asBuffer(bytes).toString('utf8') : undefined;
}

/** Parsed JSON of a text or of UTF-8 bytes, or undefined when they are something else. */
export function parseJson(from: string | Uint8Array): unknown {
  const text = typeof from === 'string' ? from : utf8Text(from);
  if (text === undefined) return undefined;
  try {
    return parseText(text);
  } catch {
    return undefined;
  }
}

/**
 * Reads a record by the CloudEvents Kafka binding. A record that is no CloudEvent gets an id from its place
 * in the log, the source `kafka:{topic}` and the type `kafka.record`.
 */
export function cloudEvent(record: StoredRecord): CloudEvent {
  let contentType = contentTypeOf(record);
  if (isStructured(contentType)) {
    const event = fromStructured(record);
    if (event !== null) return event;
    // Sent on under that type it would be taken for what it is not.
    contentType = null;
  }
  const attributes: Attributes = { specversion: '1.0' };
  const { headers } = record;
  for (const header in headers) {
    const name = attributeIn(header);
    if (name !== null) attributes[name] = asBuffer(headers[header]!).toString('utf8');
  }
  return { attributes: complete(attributes, record), contentType, data: record.value };
}

/** The headers of most events and the attributes in them: a look-up costs less than to cut and check the name. */
const USUAL: ReadonlyMap<string, string | null> = new Map([
  ...['content-type', 'traceparent', 'tracestate'].map((header): [string, null] => [header, null]),
  ...[
    ...['specversion', 'id', 'source', 'type', 'time', 'subject', 'dataschema', 'partitionkey'],
    ...['clientip', 'device', 'dedupe', 'posternhops'],
  ].map((name): [string, string] => [`ce_${name}`, name]),
]);

/** The attribute that a header holds; null for none. */
export function attributeIn(header: string): string | null {
  const usual = USUAL.get(header);
  if (usual !== undefined) return usual;
  const name = header.startsWith('ce_') && header !== 'ce_datacontenttype' ? header.slice(3) : null;
  return name !== null && isAttributeName(name) ? name : null;
}

/** Names that CloudEvents allows for attributes, but for those that are never one here: `constructor` would hide what the object is. */
export function isAttributeName(name: string): boolean {
  return ATTRIBUTE.test(name) && name !== 'data' && name !== 'constructor';
}

function complete(attributes: Attributes, record: StoredRecord): Attributes {
  if (!attributes.id) {
    attributes.id = `${record.topic}-${record.partition}-${record.offset}`;
    const time = new Date(record.timestamp);
    if (!attributes.time && !Number.isNaN(time.getTime())) attributes.time = time.toISOString();
  }
  attributes.source ||= `kafka:${encodeURIComponent(record.topic)}`;
  attributes.type ||= 'kafka.record';
  return attributes;
}

function fromStructured(record: StoredRecord): CloudEvent | null {
  const json = record.value === null ? undefined : parseJson(record.value);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  const members = json as Record<string, unknown>;
  const attributes: Attributes = { specversion: '1.0' };
  for (const [name, value] of Object.entries(members)) {
    const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (plain && name !== 'datacontenttype' && isAttributeName(name)) attributes[name] = String(value);
  }
  const type = members.datacontenttype;
  const contentType = typeof type === 'string' && PRINTABLE.test(type) ? type : null;
  return { attributes: complete(attributes, record), ...structuredData(members, record, contentType) };
}

function structuredData(
  members: Record<string, unknown>,
  record: StoredRecord,
  contentType: string | null,
): { contentType: string | null; data: Uint8Array | null } {
  const base64 = members.data_base64;
  if (typeof base64 === 'string') return { contentType, data: Buffer.from(base64, 'base64') };
  if (!Object.hasOwn(members, 'data')) return { contentType, data: null };
  const text = members.data;
  if (typeof text === 'string' && contentType !== null && !isJsonType(contentType)) {
    return { contentType, data: Buffer.from(text) };
  }
  return { contentType: contentType ?? 'application/json', data: Buffer.from(dataText(record.value!)) };
}

/** The JSON text of the member `data`, with each number as it was written: 64-bit integers stay exact. */
function dataText(bytes: Uint8Array): string {
  const json = JSON as unknown as {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
    ): {
      data: unknown;
    };
    rawJSON(text: string): unknown;
  };
  const { data } = json.parse(asBuffer(bytes).toString('utf8'), (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? json.rawJSON(source) : value,
  );
  return JSON.stringify(data);
}
