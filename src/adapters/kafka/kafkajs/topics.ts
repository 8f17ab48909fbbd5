import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaConfig } from '../../../config/config.ts';
import type { OnLog } from './client.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { ConfigResourceTypes } = kafkajs;

/** What of a topic matters to an append. */
export interface TopicInfo {
  partitions: number;
  /** Bytes of one record batch. */
  maxBytes: number;
}

/** Kafka's own default of `max.message.bytes`. */
const DEFAULT_MAX_BYTES = 1_048_588;

/** Creates those topics that do not exist, with the broker's defaults for what is 0 or -1. */
export async function createMissing(
  admin: Admin,
  topics: string[],
  create: NonNullable<KafkaConfig['create']>,
  onLog: OnLog,
): Promise<void> {
  const existing = new Set(await admin.listTopics());
  const missing = topics.filter((topic) => !existing.has(topic));
  const made = missing.map(async (topic) => {
    const numPartitions = create.partitions > 0 ? create.partitions : -1;
    const replicationFactor = create.replication > 0 ? create.replication : -1;
    try {
      // One by one, so that a name that is not allowed does not stop the others.
      // No waiting for leaders: kafkajs fails it when the broker has not yet heard of the topic itself.
      await admin.createTopics({
        topics: [{ topic, numPartitions, replicationFactor }],
        waitForLeaders: false,
      });
      onLog('info', 'topic created', { topic });
    } catch (error) {
      onLog('warn', 'topic cannot be created', { topic, error: rootCause(error).message });
    }
  });
  await Promise.all(made);
}

/** Asks for each topic; the answer is an error where the broker gave one. Rejects when no broker answers. */
export async function loadTopics(admin: Admin, topics: string[]): Promise<Map<string, TopicInfo | Error>> {
  const loaded = new Map<string, TopicInfo | Error>();
  // One after another and apart: kafkajs fails a request as a whole when one topic is missing.
  for (const topic of topics) {
    try {
      const { topics: found } = await admin.fetchTopicMetadata({ topics: [topic] });
      loaded.set(topic, { partitions: found[0]!.partitions.length, maxBytes: DEFAULT_MAX_BYTES });
    } catch (error) {
      const cause = rootCause(error);
      if (!('code' in cause && 'type' in cause)) throw cause;
      loaded.set(topic, cause);
    }
  }
  const there = topics.filter((topic) => !(loaded.get(topic) instanceof Error));
  const limits = await loadLimits(admin, there).catch(async () => {
    // Perhaps one of them may not be described by us: then that one keeps the default.
    const each = there.map((topic) => loadLimits(admin, [topic]).catch(() => new Map<string, number>()));
    return new Map((await Promise.all(each)).flatMap((map) => [...map]));
  });
  for (const [topic, maxBytes] of limits) {
    const info = loaded.get(topic);
    if (info !== undefined && !(info instanceof Error)) info.maxBytes = maxBytes;
  }
  return loaded;
}

async function loadLimits(admin: Admin, topics: string[]): Promise<Map<string, number>> {
  if (topics.length === 0) return new Map();
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({
      type: ConfigResourceTypes.TOPIC,
      name,
      configNames: ['max.message.bytes'],
    })),
  });
  return new Map(resources.map((one) => [one.resourceName, Number(one.configEntries[0]!.configValue)]));
}

/** The error that kafkajs wrapped: its own says only that it gave up. */
export function rootCause(error: unknown): Error {
  let cause = error instanceof Error ? error : new Error(String(error));
  while (cause.cause instanceof Error) cause = cause.cause;
  return cause;
}
