import type { StoredRecord } from '../ports/event-log.ts';
import {
  asBuffer,
  type CloudEvent,
  cloudEvent,
  contentTypeOf,
  isAttributeName,
  isStructured,
} from './record.ts';

/** Attributes that a record without them gets from its place in the log. */
const GIVEN = new Set(['id', 'source', 'type', 'specversion', 'time']);
const LETTER_C = 0x63;
/** The letter of `application/cloudevents` that tells it from `application/json`. */
const TELLING = 12;

/** The event of a record in structured mode, whose attributes are inside its value; null for all other records. */
export function structuredEvent(record: StoredRecord): CloudEvent | null {
  const { headers } = record;
  const type = headers['content-type'] ?? headers.ce_datacontenttype;
  // For nearly all records this one byte is enough.
  if (type === undefined || (type[TELLING]! | 0x20) !== LETTER_C) return null;
  return isStructured(contentTypeOf(record)) ? cloudEvent(record) : null;
}

/** Reads one attribute of records: `event` is the record's `structuredEvent`. */
export interface AttributeReader {
  /** The bytes of the header that holds it; null where no header does, and `text` has to be asked. */
  bytes(record: StoredRecord, event: CloudEvent | null): Uint8Array | null;
  /** The same text as `cloudEvent` gives; undefined when the event does not have the attribute. */
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
