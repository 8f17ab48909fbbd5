import kafkajs from 'kafkajs';
import { within } from '../services/until.ts';

export interface ReadRecord {
  topic: string;
  partition: number;
  offset: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
  /** Milliseconds since 1970. */
  time: number;
}

/** An independent client of the broker. */
export function kafkaClient(brokers: string): kafkajs.Kafka {
  return new kafkajs.Kafka({
    clientId: 'reader',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  });
}

/** Sum of end offsets of a topic. */
async function endOffset(brokers: string, topic: string): Promise<number> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.reduce((sum, { high }) => sum + Number(high), 0);
  } finally {
    await admin.disconnect();
  }
}

/** Everything that is in a topic now, read from its start with a group of its own. */
export async function readTopic(brokers: string, topic: string): Promise<ReadRecord[]> {
  const total = await endOffset(brokers, topic);
  const records: ReadRecord[] = [];
  if (total === 0) return records;
  const consumer = kafkaClient(brokers).consumer({
    groupId: `reader-${crypto.randomUUID()}`,
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const finished = Promise.withResolvers<void>();
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const message of batch.messages) {
        records.push({
          topic,
          partition: batch.partition,
          offset: Number(message.offset),
          key: message.key,
          value: message.value,
          headers: Object.fromEntries(
            Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
          ),
          time: Number(message.timestamp),
        });
        resolveOffset(message.offset);
      }
      if (records.length >= total) finished.resolve();
    },
  });
  await within(`${total} records of ${topic}`, finished.promise).finally(() => consumer.disconnect());
  return records;
}
