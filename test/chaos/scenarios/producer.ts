import Batch from 'kafkajs/src/consumer/batch.js';
import { kafkaClient } from '../../../src/adapters/kafka/kafkajs/client.ts';
import { fetchCluster } from '../../../src/adapters/kafka/kafkajs/fetch-cluster.ts';
import { kafkaConfig } from '../../adapters/kafka/setting.ts';
import { withAdmin } from '../admin.ts';
import { STRANGER } from '../events.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

export const producerFatal: Scenario = {
  name: 'producer-fatal',
  about:
    'another client writes with a later epoch of a gateway’s producer: all its appends to the partition fail',
  rounds: 4,
  round: (stage, random) =>
    stage.fault(
      'producer fenced',
      'kafka',
      random.between(0, 500),
      () => fence(stage, random.between(0, 3)),
      () => {},
    ),
};

interface Producer {
  producerId: string;
  producerEpoch: number;
}

/** Methods of a broker that kafkajs' types lack. */
interface Broker {
  fetch(request: object): Promise<{ responses: { partitions: object[] }[] }>;
  produce(request: object): Promise<unknown>;
}

/** Takes the identity of the producer that wrote to a partition last. */
async function fence({ platform, topic }: Stage, partition: number): Promise<void> {
  const client = kafkaClient(kafkaConfig(platform.brokers), () => {}, { retries: 1 });
  const cluster = fetchCluster(client);
  try {
    const ends = await withAdmin(platform.brokers, (admin) => admin.fetchTopicOffsets(topic));
    const end = Number(ends.find((one) => one.partition === partition)!.high);
    await cluster.connect();
    await cluster.addTargetTopic(topic);
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
    const broker = (await cluster.findBroker({ nodeId: nodeId! })) as unknown as Broker;
    const last = { partition, fetchOffset: String(end - 1), maxBytes: 1_000_000 };
    const { responses } = await broker.fetch({
      ...{ maxWaitTime: 100, minBytes: 1, maxBytes: 1_000_000, isolationLevel: 0 },
      topics: [{ topic, partitions: [last] }],
    });
    const { rawMessages } = new Batch(topic, last.fetchOffset, responses[0]!.partitions[0]!);
    const { producerId, producerEpoch } = (rawMessages.at(-1) as { batchContext: Producer }).batchContext;
    await broker.produce({
      ...{ transactionalId: null, producerId, producerEpoch: producerEpoch + 1, acks: -1, timeout: 5_000 },
      topicData: [{ topic, partitions: [{ partition, firstSequence: 0, messages: [strange()] }] }],
    });
  } finally {
    client.destroy();
  }
}

function strange(): object {
  const text = { id: STRANGER, source: STRANGER, type: STRANGER, specversion: '1.0' };
  const headers = Object.fromEntries(Object.entries(text).map(([name, value]) => [`ce_${name}`, value]));
  return {
    key: null,
    value: Buffer.from('{"lane":"a"}'),
    headers: { ...headers, 'content-type': 'application/json' },
    timestamp: Date.now(),
  };
}
