import type { StoredRecord } from '../ports/event-log.ts';
import {
  asBuffer,
  type CloudEvent,
  cloudEvent,
  contentTypeOf,
  isAttributeName,
  isStructured,
} from './record.ts';

/** Those that every CloudEvent has, or that it gets from its place in the log. */
const GIVEN = new Set(['id', 'source', 'type', 'specversion', 'time']);
const LETTER_C = 0x63;
/** Where `application/cloudevents` has a letter that `application/json` has not. */
const TELLING = 12;

/** The event in a record of structured mode, which must be parsed to know anything of it; null for all other records. */
export function structuredEvent(record: StoredRecord): CloudEvent | null {
  const { headers } = record;
  const type = headers['content-type'] ?? headers.ce_datacontenttype;
  // The content type of nearly all records is told by one byte.
  if (type === undefined || (type[TELLING]! | 0x20) !== LETTER_C) return null;
  return isStructured(contentTypeOf(record)) ? cloudEvent(record) : null;
}

/** Reads one attribute of records: `event` is the record's `structuredEvent`. */
export interface AttributeReader {
  /** The bytes as they are in the log; null where only `text` tells. */
  bytes(record: StoredRecord, event: CloudEvent | null): Uint8Array | null;
  /** What `cloudEvent` says; undefined for an attribute that the event has not. */
  text(record: StoredRecord, event: CloudEvent | null): string | undefined;
}

/** Reads an attribute without making the whole CloudEvent, wherever a header holds it. */
export function attributeReader(name: string): AttributeReader {
  if (name === 'datacontenttype') {
    return {
      bytes: () => null,
      text: (record, event) => (event === null ? contentTypeOf(record) : event.contentType) ?? undefined,
    };
  }
  if (!isAttributeName(name)) return { bytes: () => null, text: () => undefined };
  const header = `ce_${name}`;
  const isGiven = GIVEN.has(name);
  const bytes = (record: StoredRecord, event: CloudEvent | null): Uint8Array | null => {
    if (event !== null) return null;
    const found = record.headers[header];
    return found === undefined || (isGiven && found.length === 0) ? null : found;
  };
  return {
    bytes,
    text(record, event) {
      const found = bytes(record, event);
      if (found !== null) return asBuffer(found).toString('utf8');
      if (event === null && !isGiven) return undefined;
      const { attributes } = event ?? cloudEvent(record);
      return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    },
  };
}
