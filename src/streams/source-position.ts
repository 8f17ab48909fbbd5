import { headerText } from '../cloudevents/record.ts';
import { type LogRecord, partitionName, type StoredRecord } from '../ports/event-log.ts';
import { keyTopic } from './emitted.ts';

/** The first position of a record of the by-key topic; or a mark, which says how far one partition of its sources has come. */
export interface SourcePosition {
  /** `topic/partition`. */
  from: string;
  /** The record's offset; in a mark, the next offset to be read. */
  offset: number;
  /** The event's time; in a mark, the greatest so far. In ms since 1970. */
  time: number;
  /** Null: this is no mark. `idle`: its partition has no further records now and had none for a while. */
  mark: 'at' | 'idle' | null;
}

/** Records in by-key topics carry this header, so its name must stay. */
const HEADER = 'postern_came';

/** The record for the by-key topic: the record as it was, with its new key. */
export function keyedRecord(
  stream: string,
  record: StoredRecord,
  key: string | Uint8Array,
  time: number,
): LogRecord {
  const { offset, value, headers } = record;
  const position = `${partitionName(record)} ${offset} ${time}`;
  return { topic: keyTopic(stream), key, value, headers: { ...headers, [HEADER]: position } };
}

/** A mark for one partition of the by-key topic: how far an origin has come. */
export function markRecord(
  stream: string,
  partition: number,
  position: Omit<SourcePosition, 'mark'>,
  idle: boolean,
): LogRecord {
  const text = `${position.from} ${position.offset} ${position.time} ${idle ? 'idle' : 'at'}`;
  return {
    topic: keyTopic(stream),
    key: null,
    value: null,
    headers: { [HEADER]: text },
    toPartition: partition,
  };
}

/** Null for a record that Postern did not write. */
export function readSourcePosition(record: StoredRecord): SourcePosition | null {
  const text = headerText(record, HEADER);
  if (text === null) return null;
  const [from, offset, time, mark] = text.split(' ') as [string, string, string, ('at' | 'idle')?];
  return { from, offset: Number(offset), time: Number(time), mark: mark ?? null };
}
