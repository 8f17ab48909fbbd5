import { headerText } from '../cloudevents/record.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import { keyTopic } from './emitted.ts';

/** Where a record of the by-key topic was first, or how far one of the topics that it is made from has come. */
export interface Came {
  /** `topic/partition`. */
  from: string;
  /** Of the record; of a mark, the next one to be read. */
  offset: number;
  /** Of the event, or the greatest so far, in ms since 1970. */
  time: number;
  /** No record but a mark: `idle` when its partition has ended and nothing came for a while. */
  mark: 'at' | 'idle' | null;
}

const HEADER = 'postern_came';

/** The record for the by-key topic: as it was, under its new key. */
export function keyedRecord(
  stream: string,
  record: StoredRecord,
  key: string | Uint8Array,
  time: number,
): LogRecord {
  const { topic, partition, offset, value, headers } = record;
  const came = `${topic}/${partition} ${offset} ${time}`;
  return { topic: keyTopic(stream), key, value, headers: { ...headers, [HEADER]: came } };
}

/** A record for one partition of the by-key topic that says how far an origin has come. */
export function markRecord(
  stream: string,
  partition: number,
  came: Omit<Came, 'mark'>,
  idle: boolean,
): LogRecord {
  const text = `${came.from} ${came.offset} ${came.time} ${idle ? 'idle' : 'at'}`;
  return {
    topic: keyTopic(stream),
    key: null,
    value: null,
    headers: { [HEADER]: text },
    toPartition: partition,
  };
}

/** Null for a record that nobody of us has put there. */
export function readCame(record: StoredRecord): Came | null {
  const text = headerText(record, HEADER);
  if (text === null) return null;
  const [from, offset, time, mark] = text.split(' ') as [string, string, string, ('at' | 'idle')?];
  return { from, offset: Number(offset), time: Number(time), mark: mark ?? null };
}
