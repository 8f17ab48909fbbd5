import type { KafkaMessage } from 'kafkajs';
import type { StoredRecord } from '../../../ports/event-log.ts';
import type { FetchedRecord } from './decode.ts';

/** A fetched message as a record of the log. */
export function stored(topic: string, partition: number, message: KafkaMessage): StoredRecord {
  // decode.ts made it: kafkajs' own type does not hold.
  const { key, value, headers, offset, timestamp } = message as unknown as FetchedRecord;
  return { topic, partition, key, value, headers, offset, timestamp };
}
