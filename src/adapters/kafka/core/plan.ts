import type { LogRecord } from '../../../ports/event-log.ts';
import { partitionOf } from './partition.ts';

/** Bytes of one produce request. Brokers take 100 MiB by default, and buffer all of it. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** Header of a record batch (61 bytes), and what gzip may add to data that cannot be compressed. */
const BATCH_OVERHEAD = 61 + 64;
/** Upper bound of a record's own fields: length, attributes, time and offset deltas, sizes of key and value, number of headers. */
const RECORD_OVERHEAD = 5 + 1 + 1 + 3 + 5 + 5 + 3;

/** The facts of a topic that an append needs. */
export interface TopicInfo {
  /** Number of partitions. */
  partitions: number;
  /** Bytes of one record batch at the most. */
  maxBytes: number;
}

/** Records of one partition, and their indexes among the records of the append. */
interface Batch {
  records: LogRecord[];
  indexes: number[];
  /** Upper bound of its encoded size. */
  bytes: number;
}

/** The batches of one send, by partition. */
export type Batches = Map<number, Batch>;

export interface Plan {
  sends: Batches[];
  /** Indexes of the records that are over the topic's limit even alone. */
  tooLarge: number[];
}

/**
 * Splits the records of one topic into sends. Each batch (one per partition) keeps to the topic's limit, whether or
 * not it will be compressed, and the order is kept. `sticky` is the partition of records without key: one for the
 * whole append, so that batches stay large.
 */
export function plan(records: LogRecord[], indexes: number[], info: TopicInfo, sticky: number): Plan {
  // Text is measured only when three bytes a character, the most that UTF-8 needs here, are too much.
  const rough = split(records, indexes, info, sticky, (text) => text.length * 3);
  if (rough.sends.length === 1 && rough.tooLarge.length === 0) return rough;
  return split(records, indexes, info, sticky, Buffer.byteLength);
}

type Measure = (text: string) => number;

function split(
  records: LogRecord[],
  indexes: number[],
  { partitions, maxBytes }: TopicInfo,
  sticky: number,
  measure: Measure,
): Plan {
  let batches: Batches = new Map();
  const sends = [batches];
  const tooLarge: number[] = [];
  let total = 0;
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!;
    const size = sizeOf(record, measure);
    if (size + BATCH_OVERHEAD > maxBytes) {
      tooLarge.push(indexes[i]!);
      continue;
    }
    const { key } = record;
    // An empty key counts as none: otherwise all such records would go to one partition.
    const partition =
      record.toPartition ??
      (key === null || key.length === 0
        ? sticky
        : partitionOf(typeof key === 'string' ? Buffer.from(key) : key, partitions));
    let batch = batches.get(partition);
    if ((batch?.bytes ?? BATCH_OVERHEAD) + size > maxBytes || total + size > REQUEST_BYTES) {
      batches = new Map();
      sends.push(batches);
      batch = undefined;
      total = 0;
    }
    if (batch === undefined) {
      batch = { records: [], indexes: [], bytes: BATCH_OVERHEAD };
      batches.set(partition, batch);
    }
    batch.records.push(record);
    batch.indexes.push(indexes[i]!);
    batch.bytes += size;
    total += size;
  }
  return { sends: sends.filter((one) => one.size > 0), tooLarge };
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
