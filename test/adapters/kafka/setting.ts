import { randomUUID } from 'node:crypto';
import { type Admin, Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import { vi } from 'vitest';
import type { OnLog } from '../../../src/adapters/kafka/core/on-log.ts';
import { kafkaEventLog } from '../../../src/adapters/kafka/event-log.ts';
import type { KafkaConfig } from '../../../src/config/log/types.ts';
import type { EventLog } from '../../../src/ports/event-log.ts';

/** A plain connection to one broker. */
export function kafkaConfig(brokers: string, changes: Partial<KafkaConfig> = {}): KafkaConfig {
  return {
    brokers: [brokers],
    clientId: 'postern-test',
    tls: null,
    sasl: null,
    compression: 'none',
    client: 'kafkajs',
    create: null,
    ...changes,
  };
}

/** The client libraries that append. */
export const CLIENTS = ['kafkajs', 'platformatic'] as const;

/** Times of a group that notices changes soon. */
export const timing = { session: 6_000, rebalance: 10_000, heartbeat: 200, wait: 100, metadata: 1_000 };

/** A line of the log's own log. */
export interface Line {
  level: string;
  message: string;
  extra: Record<string, unknown>;
}

/** An event log and the lines that it wrote. */
export function openLog(
  brokers: string,
  topics: string[],
  changes: Partial<KafkaConfig> = {},
  group: Partial<typeof timing> = {},
): { log: EventLog; lines: Line[] } {
  const lines: Line[] = [];
  const onLog: OnLog = (level, message, extra) => lines.push({ level, message, extra });
  const log = kafkaEventLog({
    config: kafkaConfig(brokers, changes),
    topics,
    onLog,
    group: { ...timing, ...group },
  });
  return { log, lines };
}

/** Runs `use` with kafkajs' own admin, another client than the one under test. */
export async function withPlainAdmin<T>(brokers: string, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = plainKafka(brokers).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Makes a topic with a name of its own. */
export async function makeTopic(
  brokers: string,
  partitions: number,
  config: Record<string, string> = {},
): Promise<string> {
  const topic = `t-${randomUUID()}`;
  await makeTopics(brokers, [topic], partitions, config);
  return topic;
}

/** Makes topics and waits until the broker serves them. */
export async function makeTopics(
  brokers: string,
  topics: string[],
  partitions: number,
  config: Record<string, string> = {},
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await withPlainAdmin(brokers, async (admin) => {
    await admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: partitions, configEntries })),
      waitForLeaders: false,
    });
    // The controller knows of it before the broker leads it; until then the broker denies it.
    for (const topic of topics) {
      await vi.waitFor(() => admin.fetchTopicOffsets(topic), { timeout: 30_000 });
    }
  });
}

/** Number of records per partition, gaps counted too. */
export async function counts(brokers: string, topic: string): Promise<number[]> {
  const offsets = await withPlainAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high, low }) => Number(high) - Number(low));
}

/** All that is in the topic, read by kafkajs' own consumer. */
export async function readBack(
  brokers: string,
  topic: string,
): Promise<{ partition: number; message: KafkaMessage }[]> {
  const count = (await counts(brokers, topic)).reduce((sum, one) => sum + one, 0);
  const found: { partition: number; message: KafkaMessage }[] = [];
  if (count === 0) return found;
  const consumer = plainKafka(brokers).consumer({ groupId: `read-${randomUUID()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      found.push({ partition, message });
      if (found.length === count) resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return found;
}

/** The values of `readBack` as text, sorted. */
export async function valuesOf(brokers: string, topic: string): Promise<string[]> {
  return (await readBack(brokers, topic)).map(({ message }) => String(message.value)).sort();
}

function plainKafka(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
}
