import { cloudEvent, isJsonType, parseJson } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** Indexes of a batch's events, by the event's id and by its position in the log. */
type Indexes = Map<string, number[]>;

const LIST = 'batchItemFailures';
const SPACE = 0x20;

/**
 * Indexes of the events that a function's parsed answer lists in `batchItemFailures`, in order; null when it lists none.
 * Identifiers are `{ partition: "topic-0", offset: 100 }`, as for Lambda, or the id of an event as text; an id that
 * several events have means all of them. `malformed` when an entry is anything else, or names no event of the call:
 * then it is unknown which events failed.
 */
export function failedOf(body: unknown, records: readonly StoredRecord[]): number[] | null | 'malformed' {
  if (typeof body !== 'object' || body === null) return null;
  // An array of items without the object around it.
  if (Array.isArray(body)) return body.some(isItem) ? 'malformed' : null;
  const { batchItemFailures: list } = body as { batchItemFailures?: unknown };
  if (list === undefined || list === null) return null;
  if (!Array.isArray(list)) return 'malformed';
  if (list.length === 0) return null;
  const names = list.map(nameOf);
  const indexes = indexesOf(records, names);
  const failed = new Uint8Array(records.length);
  for (const name of names) {
    const found = name === null ? undefined : indexes.get(name);
    if (found === undefined) return 'malformed';
    for (const index of found) failed[index] = 1;
  }
  return records.map((_, index) => index).filter((index) => failed[index] === 1);
}

/**
 * As `failedOf`, for the body of an HTTP answer; `whole`: no part of it was left out. Most functions answer a batch with
 * nothing or with a text such as OK, which is a success. A body that claims to be JSON or contains the name of the list,
 * but cannot be parsed, is `malformed`.
 */
export function failedIn(
  body: Buffer,
  contentType: string | null,
  whole: boolean,
  records: readonly StoredRecord[],
): number[] | null | 'malformed' {
  const isJson = contentType !== null && isJsonType(contentType);
  if (body.every((byte) => byte <= SPACE) || (!isJson && !body.includes(LIST))) return null;
  const json = whole ? parseJson(body) : undefined;
  return json === undefined ? 'malformed' : failedOf(json, records);
}

function isItem(item: unknown): item is { itemIdentifier: unknown } {
  return typeof item === 'object' && item !== null && Object.hasOwn(item, 'itemIdentifier');
}

/** The key in `Indexes` for one entry of the list, or null. */
function nameOf(item: unknown): string | null {
  if (!isItem(item)) return null;
  const { itemIdentifier: id } = item;
  if (typeof id === 'string') return id === '' ? null : byId(id);
  if (typeof id !== 'object' || id === null) return null;
  const { partition, offset } = id as { partition?: unknown; offset?: unknown };
  if (typeof partition !== 'string' || !Number.isSafeInteger(offset)) return null;
  return byPosition(partition, offset as number);
}

// A number does not begin with a colon, so the two kinds of keys cannot be equal.
const byId = (id: string) => `:${id}`;
const byPosition = (partition: string, offset: number) => `${offset}:${partition}`;

function indexesOf(records: readonly StoredRecord[], names: readonly (string | null)[]): Indexes {
  const indexes: Indexes = new Map();
  // Reading the id of an event may need parsing it.
  const withIds = names.some((name) => name?.startsWith(':'));
  records.forEach((record, index) => {
    add(indexes, byPosition(`${record.topic}-${record.partition}`, record.offset), index);
    if (withIds) add(indexes, byId(cloudEvent(record).attributes.id!), index);
  });
  return indexes;
}

function add(indexes: Indexes, name: string, index: number): void {
  const found = indexes.get(name);
  if (found === undefined) indexes.set(name, [index]);
  else found.push(index);
}
