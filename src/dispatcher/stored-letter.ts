import { headerText } from '../cloudevents/record.ts';
import { LINEAGE } from '../consume/dead-letter.ts';
import type { LogRecord, Position, StoredRecord } from '../ports/event-log.ts';

/** A dead letter as it is stored in its topic. */
export interface StoredLetter {
  record: StoredRecord;
  /** The name of the subscription that could not deliver it. */
  subscription: string;
  reason: string;
  status: number | null;
  attempts: number;
  /** RFC 3339, of the first attempt and of the last. */
  firstTime: string;
  lastTime: string;
  error: string;
  /** The event's first position, and its time in milliseconds since 1970. */
  origin: Position & { timestamp: number };
  /** The names of the parts left out because the record was too large, or null. */
  cut: string | null;
  /** The earlier dead letters of this event, oldest first. */
  lineage: string[];
}

/** The headers that a dead letter adds. */
const OWN_HEADERS = headerNames(
  'reason status attempts subscription topic partition offset timestamp first_time last_time error',
);
/** The headers that a redriven record adds, so that the function gets the event as it was at first. */
const REDRIVE_HEADERS = headerNames('topic partition offset timestamp group');
/** Of an event that was redriven more often, only the newest dead letters are named. */
const MAX_LINEAGE = 50;

/** Reads a record of a dead-letter topic; null when it is no dead letter. */
export function readLetter(record: StoredRecord): StoredLetter | null {
  const text = (name: string) => headerText(record, `postern_${name}`) ?? '';
  const origin = originOf(record);
  const [subscription, reason] = [text('subscription'), text('reason')];
  if (subscription === '' || reason === '' || origin === null) return null;
  const truncated = text('truncated');
  return {
    record,
    subscription,
    reason,
    status: text('status') === '' ? null : Number(text('status')),
    attempts: Number(text('attempts')),
    firstTime: text('first_time'),
    lastTime: text('last_time'),
    error: text('error'),
    origin,
    // The gateway writes a number in this header of a rejected event. That is part of the event, not ours.
    cut: truncated.startsWith('value') ? truncated : null,
    lineage: lineageOf(record),
  };
}

/** A lasting name of a record. It has the time, because a topic that is created again counts from 0 again. */
export function placeName({ topic, partition, offset, timestamp }: StoredRecord): string {
  const time = new Date(timestamp);
  return `${topic}/${partition}/${offset}@${Number.isNaN(time.getTime()) ? timestamp : time.toISOString()}`;
}

/** The earlier dead letters of a record's event, oldest first. */
export function lineageOf(record: StoredRecord): string[] {
  return (headerText(record, LINEAGE) ?? '').split(' ').filter((name) => name !== '');
}

/** The event of a dead letter as it was at first; only its lineage is added. */
export function eventOf({ record, origin, cut }: StoredLetter): StoredRecord {
  const headers: Record<string, Uint8Array> = {};
  for (const name in record.headers) {
    if (OWN_HEADERS.has(name) || (cut !== null && name === 'postern_truncated')) continue;
    headers[name] = record.headers[name]!;
  }
  return { ...record, ...origin, headers };
}

/** The record that sends a dead letter to its subscription again, whose consumer group is `group`. */
export function redrivenRecord(letter: StoredLetter, topic: string, group: string): LogRecord {
  const { key, value, headers } = eventOf(letter);
  const { origin, lineage, record } = letter;
  return {
    topic,
    key,
    value,
    headers: {
      ...headers,
      postern_topic: origin.topic,
      postern_partition: String(origin.partition),
      postern_offset: String(origin.offset),
      postern_timestamp: String(origin.timestamp),
      postern_group: group,
      [LINEAGE]: [...lineage, placeName(record)].slice(-MAX_LINEAGE).join(' '),
    },
  };
}

/**
 * The event of a redriven record, as it was at first, so that its identity is the same; only its lineage is added.
 * Null when it is for another group. A record that somebody else wrote to the topic is taken as it is.
 */
export function redrivenEvent(record: StoredRecord, group: string): StoredRecord | null {
  const origin = originOf(record);
  const addressee = groupOf(record);
  if (addressee !== null && addressee !== group) return null;
  if (addressee === null || origin === null) return record;
  const headers: Record<string, Uint8Array> = {};
  for (const name in record.headers) if (!REDRIVE_HEADERS.has(name)) headers[name] = record.headers[name]!;
  return { ...record, ...origin, headers };
}

/** The consumer group that a redriven record is for; null when it names none. */
export function groupOf(record: StoredRecord): string | null {
  return headerText(record, 'postern_group');
}

/** The first position of a record's event, by its headers; null when they do not say it. */
function originOf(record: StoredRecord): StoredLetter['origin'] | null {
  const topic = headerText(record, 'postern_topic');
  const partition = wholeNumber(headerText(record, 'postern_partition'));
  const offset = wholeNumber(headerText(record, 'postern_offset'));
  if (topic === null || topic === '' || partition === null || offset === null) return null;
  const timestamp = wholeNumber(headerText(record, 'postern_timestamp')) ?? record.timestamp;
  return { topic, partition, offset, timestamp };
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null;
}

function headerNames(words: string): ReadonlySet<string> {
  return new Set(words.split(' ').map((word) => `postern_${word}`));
}
