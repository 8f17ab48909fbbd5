// Runs in a pod: what of the acknowledged ids is in the topic, and has reached the function.
import { createRequire } from 'node:module';

export interface Balance {
  acknowledged: number;
  /** Acknowledged and not in the topic. */
  missing: string[];
  /** Records of the topic whose id another one has too, the unchecked ones apart. */
  copies: number;
  /** Acknowledged and never seen by the function. */
  undelivered: string[];
  /** Seconds from the last acknowledgement until the function had seen all. */
  deliveredAfter: number;
}

interface Record {
  id: string;
  unchecked: boolean;
}

/** Everything in the topic now. */
async function readTopic(brokers: string, topic: string): Promise<Record[]> {
  // This file lies apart from the program whose client it borrows.
  const { Kafka, logLevel } = createRequire('/app/')('kafkajs') as typeof import('kafkajs');
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const left = new Map<number, number>();
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    if (Number(high) > Number(low)) left.set(partition, Number(high));
  }
  await admin.disconnect();
  const records: Record[] = [];
  const consumer = kafka.consumer({ groupId: `ledger-${crypto.randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  if (left.size === 0) resolve();
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message: { headers, offset } }) => {
      records.push({ id: String(headers?.ce_id), unchecked: headers?.ce_dedupe !== undefined });
      if (Number(offset) + 1 >= (left.get(partition) ?? 0)) left.delete(partition);
      if (left.size === 0) resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return records;
}

/** Compares once the function has got everything, or after `patience` ms. */
export async function balance(
  acknowledged: Set<string>,
  { brokers, topic, fn, patience }: { brokers: string; topic: string; fn: string; patience: number },
): Promise<Balance> {
  const began = Date.now();
  const records = await readTopic(brokers, topic);
  const stored = new Set(records.map(({ id }) => id));
  const checked = records.filter(({ unchecked }) => !unchecked);
  const until = began + patience;
  let undelivered: string[];
  do {
    await new Promise((next) => setTimeout(next, 500));
    const seen = new Set((await (await fetch(fn)).text()).split('\n'));
    undelivered = [...acknowledged].filter((id) => !seen.has(id));
  } while (undelivered.length > 0 && Date.now() < until);
  return {
    acknowledged: acknowledged.size,
    missing: [...acknowledged].filter((id) => !stored.has(id)),
    copies: checked.length - new Set(checked.map(({ id }) => id)).size,
    undelivered,
    deliveredAfter: Math.round((Date.now() - began) / 1000),
  };
}
