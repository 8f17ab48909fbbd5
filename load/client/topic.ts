import kafkajs, { type Admin, type Message } from 'kafkajs';
import { eventText } from './events.ts';

/** Records in one append. */
const APPEND = 2_000;

/** Makes a topic and fills it; `record` gives the n-th one. */
export async function fillTopic(
  { brokers, topic, partitions }: { brokers: string; topic: string; partitions: number },
  count: number,
  record: (n: number) => Message,
): Promise<void> {
  const client = new kafkajs.Kafka({ clientId: 'load', brokers: [brokers], logLevel: 0 });
  const [admin, producer] = [client.admin(), client.producer()];
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: false });
  for (let from = 0; from < count; from += APPEND) {
    const messages = Array.from({ length: Math.min(APPEND, count - from) }, (_, i) => record(from + i));
    await producer.send({ topic, messages });
  }
  await Promise.all([admin.disconnect(), producer.disconnect()]);
}

/** Stores clickstream events as the gateway does; `type` gives the type of the n-th one. */
export async function appendClicks(
  brokers: string,
  topic: string,
  count: number,
  type: (n: number) => string = () => 'page.view',
): Promise<void> {
  await fillTopic({ brokers, topic, partitions: 4 }, count, (n) => ({
    key: `anon-${n % 5_000}`,
    value: eventText('click', 'd', n),
    headers: {
      ce_specversion: '1.0',
      ce_id: `d-${n}`,
      ce_source: '/click',
      ce_type: type(n),
      ce_time: '2026-11-24T12:00:00.000Z',
      'content-type': 'application/json',
    },
  }));
}

/** Records that a topic holds. */
export async function storedIn(admin: Admin, topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}
