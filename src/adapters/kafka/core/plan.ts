import type { LogRecord } from '../../../ports/event-log.ts';
import { partitionOf } from './partition.ts';
import type { TopicInfo } from '../kafkajs/topics.ts';

/** Bytes of one produce request; brokers take 100 MiB by default and buffer all of it. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** Header of a record batch (61 bytes), and what gzip may add to data that cannot be compressed. */
const BATCH_OVERHEAD = 61 + 64;
/** Upper bound of a record's own fields: length, attributes, time and offset deltas, sizes of key and value, number of headers. */
const RECORD_OVERHEAD = 5 + 1 + 1 + 3 + 5 + 5 + 3;

/** What one send has for one partition: records, and their places among those of the append. */
interface Batch {
  records: LogRecord[];
  places: number[];
  /** At the most, encoded. */
  bytes: number;
}

/** One send: its batches by partition. */
export type Round = Map<number, Batch>;

export interface Plan {
  rounds: Round[];
  /** Places of the records that alone are over the topic's limit. */
  tooLarge: number[];
}

/**
 * Splits the records of one topic into sends whose batches (one per partition) keep to the topic's
 * limit, in order. Compression is not counted on. `sticky` is the partition of records without key: one
 * for the whole append, so that batches stay large.
 */
export function plan(records: LogRecord[], places: number[], info: TopicInfo, sticky: number): Plan {
  // Three bytes a character is the most that UTF-8 needs here; only when that is too much the text is measured.
  const rough = split(records, places, info, sticky, (text) => text.length * 3);
  if (rough.rounds.length === 1 && rough.tooLarge.length === 0) return rough;
  return split(records, places, info, sticky, Buffer.byteLength);
}

type Measure = (text: string) => number;

function split(
  records: LogRecord[],
  places: number[],
  { partitions, maxBytes }: TopicInfo,
  sticky: number,
  measure: Measure,
): Plan {
  let round: Round = new Map();
  const rounds = [round];
  const tooLarge: number[] = [];
  let total = 0;
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!;
    const size = sizeOf(record, measure);
    if (size + BATCH_OVERHEAD > maxBytes) {
      tooLarge.push(places[i]!);
      continue;
    }
    const { key } = record;
    // An empty key is none: otherwise all such records would go to one partition.
    const partition =
      record.toPartition ??
      (key === null || key.length === 0
        ? sticky
        : partitionOf(typeof key === 'string' ? Buffer.from(key) : key, partitions));
    let batch = round.get(partition);
    if ((batch?.bytes ?? BATCH_OVERHEAD) + size > maxBytes || total + size > REQUEST_BYTES) {
      round = new Map();
      rounds.push(round);
      batch = undefined;
      total = 0;
    }
    if (batch === undefined) {
      batch = { records: [], places: [], bytes: BATCH_OVERHEAD };
      round.set(partition, batch);
    }
    batch.records.push(record);
    batch.places.push(places[i]!);
    batch.bytes += size;
    total += size;
  }
  return { rounds: rounds.filter((batches) => batches.size > 0), tooLarge };
}

function sizeOf({ key, value, headers }: LogRecord, measure: Measure): number {
  let size = RECORD_OVERHEAD + lengthOf(key, measure) + (value?.length ?? 0);
  for (const name in headers) size += 8 + measure(name) + lengthOf(headers[name]!, measure);
  return size;
}

function lengthOf(field: string | Uint8Array | null, measure: Measure): number {
  if (typeof field === 'string') return measure(field);
  return field === null ? 0 : field.length;
}
