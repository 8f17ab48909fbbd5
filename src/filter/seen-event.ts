import { type AttributeReader, attributeReader, structuredEvent } from '../cloudevents/attribute-reader.ts';
import {
  type CloudEvent,
  cloudEvent,
  contentTypeOf,
  isJsonType,
  isStructured,
  parseJson,
  utf8Text,
} from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** Holds the event's data until it is parsed. */
const source = Symbol('source');

interface SeenEvent {
  /** The event of a structured record, which is parsed already, else the record. */
  [source]: StoredRecord | CloudEvent;
  [attribute: string]: unknown;
}

/** All events share this getter: an object with a getter of its own gets a hidden class of its own, which keeps it alive. */
const lazyData: PropertyDescriptor & ThisType<SeenEvent> = {
  configurable: true,
  enumerable: true,
  get() {
    const data = parseData(this[source]);
    Object.defineProperty(this, 'data', { value: data, enumerable: true });
    return data;
  },
};

/**
 * Returns a function that makes what an expression sees as `event`: the members that it names, or all (null). The data
 * is parsed when the expression reads it, or at once when `eager`, which is cheaper where each event's data is read.
 */
export function eventMaker(
  members: ReadonlySet<string> | null,
  eager = false,
): (record: StoredRecord) => object {
  if (members === null) return wholeEvent;
  const readers: [string, AttributeReader][] = [];
  for (const name of members) if (name !== 'data') readers.push([name, attributeReader(name)]);
  const hasData = members.has('data');
  return (record) => {
    const event = structuredEvent(record);
    const seen: SeenEvent = { [source]: event ?? record };
    for (const [name, reader] of readers) {
      const text = reader.text(record, event);
      if (text !== undefined) seen[name] = text;
    }
    if (!hasData) return seen;
    if (!eager) return Object.defineProperty(seen, 'data', lazyData);
    seen.data = parseData(seen[source]);
    return seen;
  };
}

function wholeEvent(record: StoredRecord): object {
  const event = cloudEvent(record);
  if (event.contentType !== null) event.attributes.datacontenttype = event.contentType;
  const seen: SeenEvent = Object.assign({ [source]: event }, event.attributes);
  // Added last: the evaluator takes the type of a map from its first member.
  return Object.defineProperty(seen, 'data', lazyData);
}

function parseData(from: StoredRecord | CloudEvent): unknown {
  const { data, contentType } =
    'value' in from ? { data: from.value, contentType: contentTypeOf(from) } : from;
  if (data === null) return undefined;
  if (contentType !== null && !isJsonType(contentType) && !isStructured(contentType)) return undefined;
  const text = utf8Text(data);
  if (text === undefined) return undefined;
  const json = parseJson(text);
  // A member called `constructor`, maybe written with escapes, makes the evaluator mistake the object's type.
  return text.includes('constructor') || text.includes('\\u') ? withMaps(json) : json;
}

/** JSON with maps for objects, so that expressions can read members of any name. */
export function withMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withMaps);
  return new Map(Object.entries(value).map(([name, inner]) => [name, withMaps(inner)]));
}
