import type { KafkaMessage } from 'kafkajs';
import type { StoredRecord } from '../../../ports/event-log.ts';
import type { Fetched } from './decode.ts';

/** A record as it was fetched, in the log's own form. */
export function stored(topic: string, partition: number, message: KafkaMessage): StoredRecord {
  // Our own decoding made it, whatever kafkajs takes it for.
  const { key, value, headers, offset, timestamp } = message as unknown as Fetched;
  return { topic, partition, key, value, headers, offset, timestamp };
}
