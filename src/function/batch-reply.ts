import { isJsonType } from '../cloudevents/content-type.ts';
import { cloudEvent, parseJson } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** What a batch's answer lists: places of events by their id, and by their place in the log. */
type Places = Map<string, number[]>;

const LIST = 'batchItemFailures';
const SPACE = 0x20;

/**
 * The places of the events that a function's parsed answer lists in `batchItemFailures`, in order; null when it
 * lists none. Identifiers are `{ partition: "topic-0", offset: 100 }`, as of Lambda, or the id of an event as
 * text; an id that several events have means all of them. `malformed` when anything in the list is something
 * else or names no event of the call: what it means to say is unknown, and success would be a guess.
 */
export function failedOf(body: unknown, records: readonly StoredRecord[]): number[] | null | 'malformed' {
  if (typeof body !== 'object' || body === null) return null;
  // Somebody who forgot what goes around the list.
  if (Array.isArray(body)) return body.some(isItem) ? 'malformed' : null;
  const { batchItemFailures: list } = body as { batchItemFailures?: unknown };
  if (list === undefined || list === null) return null;
  if (!Array.isArray(list)) return 'malformed';
  if (list.length === 0) return null;
  const names = list.map(nameOf);
  const places = placesOf(records, names);
  const failed = new Uint8Array(records.length);
  for (const name of names) {
    const found = name === null ? undefined : places.get(name);
    if (found === undefined) return 'malformed';
    for (const place of found) failed[place] = 1;
  }
  return records.map((_, place) => place).filter((place) => failed[place] === 1);
}

/**
 * As `failedOf`, for the body of an HTTP answer, of which more may have been left out than is `whole`. Most
 * functions answer a batch with nothing or with a text such as OK: that is a success. But what says that it is
 * JSON and is not, or names the list and cannot be read, may have lost what it means to say.
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

/** The key in `Places` of one entry, or null. */
function nameOf(item: unknown): string | null {
  if (!isItem(item)) return null;
  const { itemIdentifier: id } = item;
  if (typeof id === 'string') return id === '' ? null : byId(id);
  if (typeof id !== 'object' || id === null) return null;
  const { partition, offset } = id as { partition?: unknown; offset?: unknown };
  if (typeof partition !== 'string' || !Number.isSafeInteger(offset)) return null;
  return byPlace(partition, offset as number);
}

// A number does not begin with a colon, so nothing that is said of one is taken for the other.
const byId = (id: string) => `:${id}`;
const byPlace = (partition: string, offset: number) => `${offset}:${partition}`;

function placesOf(records: readonly StoredRecord[], names: readonly (string | null)[]): Places {
  const places: Places = new Map();
  // To know the id of an event may mean to parse it.
  const withIds = names.some((name) => name?.startsWith(':'));
  records.forEach((record, place) => {
    add(places, byPlace(`${record.topic}-${record.partition}`, record.offset), place);
    if (withIds) add(places, byId(cloudEvent(record).attributes.id!), place);
  });
  return places;
}

function add(places: Places, name: string, place: number): void {
  const found = places.get(name);
  if (found === undefined) places.set(name, [place]);
  else found.push(place);
}
