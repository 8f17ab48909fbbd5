import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaConfig } from '../../../config/log/types.ts';
import { rootCause } from '../core/failures.ts';
import type { OnLog } from '../core/on-log.ts';
import type { TopicInfo } from '../core/plan.ts';

// Node finds only some of kafkajs' names in its CommonJS.
const { ConfigResourceTypes } = kafkajs;

/** Kafka's own default of `max.message.bytes`. */
const DEFAULT_MAX_BYTES = 1_048_588;

/** Creates the missing topics. 0 or -1 in `create` stands for the broker's default. */
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
      // One by one, so that a forbidden name does not stop the others. Without waiting for leaders: kafkajs rejects
      // that wait when the broker has not heard of the new topic yet.
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

/** Asks about each topic. A topic's value is the broker's error where it gave one. Rejects when no broker answers. */
export async function loadTopics(admin: Admin, topics: string[]): Promise<Map<string, TopicInfo | Error>> {
  const loaded = new Map<string, TopicInfo | Error>();
  // One topic a request: kafkajs fails the whole request when one topic is missing.
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
    // We may lack the right to describe one of them: that one keeps the default.
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
