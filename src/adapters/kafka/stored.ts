import type { KafkaMessage } from 'kafkajs';
import type { StoredRecord } from '../../ports/event-log.ts';

/** A record as kafkajs read it, in the log's own form. */
export function stored(topic: string, partition: number, message: KafkaMessage): StoredRecord {
  const headers: Record<string, Uint8Array> = {};
  for (const name in message.headers) {
    const value = message.headers[name];
    // A repeated name comes as a list; the last one counts.
    headers[name] = ((Array.isArray(value) ? value.at(-1) : value) ?? Buffer.alloc(0)) as Uint8Array;
  }
  const { key, value, offset, timestamp } = message;
  return { topic, partition, key, value, headers, offset: Number(offset), timestamp: Number(timestamp) };
}
