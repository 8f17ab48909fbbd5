import type { Admin } from 'kafkajs';
import { kafkaClient } from '../e2e/kafka-reader.ts';
import { until } from '../services/until.ts';

/** Runs `use` with an admin of its own. `brokers`: host:port, with commas between. */
export async function withAdmin<T>(brokers: string, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Makes topics with the defaults of the broker, and waits until they have leaders. */
export async function makeTopics(brokers: string, topics: readonly string[]): Promise<void> {
  await withAdmin(brokers, async (admin) => {
    await admin.createTopics({ topics: topics.map((topic) => ({ topic })), waitForLeaders: false });
  });
  await whole(brokers, topics, 1);
}

/** Waits until each partition of the topics has a leader, and this number of replicas in sync. */
export async function whole(brokers: string, topics: readonly string[], replicas: number): Promise<void> {
  const isWhole = async () => {
    const found = await withAdmin(brokers, async (admin) => {
      const { topics: all } = await admin.fetchTopicMetadata({ topics: [...topics] });
      return all.flatMap(({ partitions }) => partitions);
    }).catch(() => []);
    return found.length > 0 && found.every(({ leader, isr }) => leader >= 0 && isr.length >= replicas);
  };
  await until(`${topics} have ${replicas} replicas in sync`, isWhole, { ms: 120_000, every: 200 });
}
