import type { LogRecord } from '../../../ports/event-log.ts';

/** The part of a record that is encoded. */
export type Message = Pick<LogRecord, 'key' | 'value' | 'headers'>;

/** A Produce request, in the form in which kafkajs hands it to its own encoder. */
export interface ProduceArguments {
  acks: number;
  timeout: number;
  producerId: { toString(): string };
  producerEpoch: number;
  topicData: { topic: string; partitions: PartitionBatch[] }[];
}

export interface PartitionBatch {
  partition: number;
  firstSequence: number;
  messages: Message[];
  /** The result of `encodeRecords` for these messages, compressed with gzip. */
  packed?: Buffer;
}

/** Upper bound of a record's length, attributes, deltas, sizes and header count. */
const RECORD_OVERHEAD = 40;
const BATCH_OVERHEAD = 70;

/** Upper bound of a request's bytes: three for each character of text. */
export function maxRequestSize(topicData: ProduceArguments['topicData']): number {
  let bytes = 64;
  for (const { topic, partitions } of topicData) {
    bytes += 16 + topic.length * 3;
    for (const { messages, packed } of partitions)
      bytes += BATCH_OVERHEAD + (packed === undefined ? maxRecordsSize(messages) : packed.length);
  }
  return bytes;
}

/** Upper bound of the bytes of encoded records. */
export function maxRecordsSize(messages: Message[]): number {
  let bytes = 0;
  for (const { key, value, headers } of messages) {
    bytes += RECORD_OVERHEAD + (key?.length ?? 0) * 3 + (value?.length ?? 0);
    for (const name in headers) bytes += 10 + name.length * 3 + headers[name]!.length * 3;
  }
  return bytes;
}
