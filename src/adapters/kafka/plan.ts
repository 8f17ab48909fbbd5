import type { Message } from 'kafkajs';
import type { LogRecord } from '../../ports/event-log.ts';
import { partitionOf } from './partition.ts';
import type { TopicInfo } from './topics.ts';

/** Bytes of one produce request; brokers take 100 MiB by default and buffer all of it. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** Header of a record batch (61 bytes), and what gzip may add to data that cannot be compressed. */
const BATCH_OVERHEAD = 61 + 64;
/** Upper bound of a record's own fields: length, attributes, time and offset deltas, sizes of key and value, number of headers. */
const RECORD_OVERHEAD = 5 + 1 + 1 + 3 + 5 + 5 + 3;

/** One send: its messages with their place among the records of the append. */
export interface Round {
  messages: Message[];
  places: number[];
  partitions: Set<number>;
}

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
  const messages = records.map((record) => toMessage(record, info.partitions, sticky));
  // Three bytes a character is the most that UTF-8 needs here; only when that is too much the text is measured.
  const rough = split(messages, places, info.maxBytes, (text) => text.length * 3);
  if (rough.rounds.length === 1 && rough.tooLarge.length === 0) return rough;
  return split(messages, places, info.maxBytes, Buffer.byteLength);
}

function split(messages: Message[], places: number[], maxBytes: number, measure: Measure): Plan {
  const rounds: Round[] = [];
  const tooLarge: number[] = [];
  let round: Round | null = null;
  let total = 0;
  let perPartition = new Map<number, number>();
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!;
    const partition = message.partition!;
    const size = messageSize(message, measure);
    if (size + BATCH_OVERHEAD > maxBytes) {
      tooLarge.push(places[i]!);
      continue;
    }
    let bytes = perPartition.get(partition) ?? BATCH_OVERHEAD;
    if (round === null || bytes + size > maxBytes || total + size > REQUEST_BYTES) {
      round = { messages: [], places: [], partitions: new Set() };
      rounds.push(round);
      perPartition = new Map();
      bytes = BATCH_OVERHEAD;
      total = 0;
    }
    round.messages.push(message);
    round.places.push(places[i]!);
    round.partitions.add(partition);
    perPartition.set(partition, bytes + size);
    total += size;
  }
  return { rounds, tooLarge };
}

type Measure = (text: string) => number;

function messageSize({ key, value, headers }: Message, measure: Measure): number {
  let size = RECORD_OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) {
    const header = headers[name]!;
    size += 8 + measure(name) + (typeof header === 'string' ? measure(header) : header.length);
  }
  return size;
}

function toMessage(record: LogRecord, partitions: number, sticky: number): Message {
  const key = record.key === null ? null : toBuffer(record.key);
  return {
    key,
    value: record.value === null ? null : toBuffer(record.value),
    headers: bufferHeaders(record.headers),
    // An empty key is none: otherwise all such records would go to one partition.
    partition: key === null || key.length === 0 ? sticky : partitionOf(key, partitions),
  };
}

/** kafkajs would write any bytes but a Buffer as text. */
function bufferHeaders(headers: LogRecord['headers']): Record<string, string | Buffer> {
  for (const name in headers) {
    if (typeof headers[name] === 'string') continue;
    const entries = Object.entries(headers);
    return Object.fromEntries(
      entries.map(([key, value]) => [key, typeof value === 'string' ? value : toBuffer(value)]),
    );
  }
  return headers as Record<string, string>;
}

function toBuffer(bytes: string | Uint8Array): Buffer {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
