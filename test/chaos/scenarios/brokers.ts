import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../services/until.ts';
import { whole, withAdmin } from '../admin.ts';
import type { BrokersPlatform } from '../platforms.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

type Brokers = Stage<BrokersPlatform>;

export const brokersOne: Scenario<BrokersPlatform> = {
  name: 'brokers-one',
  about: 'one of three brokers is stopped, killed or hangs, and comes back',
  platform: 'brokers',
  rounds: 3,
  round: (stage, random) => lose(stage, random, 1),
};

export const brokersTwo: Scenario<BrokersPlatform> = {
  name: 'brokers-two',
  about: 'one of three brokers goes, then a second: the last may not acknowledge (min.insync.replicas 2)',
  platform: 'brokers',
  rounds: 2,
  round: (stage, random) => lose(stage, random, 2),
};

async function lose(stage: Brokers, random: Random, count: 1 | 2): Promise<void> {
  const lost = random.shuffled(stage.platform.kafkas).slice(0, count);
  const signal = random.pick(['SIGTERM', 'SIGKILL', 'SIGSTOP'] as const);
  await stage.fault(
    `${count} of 3 brokers, ${signal}`,
    'kafka',
    random.between(1_000, 8_000),
    async () => {
      for (const broker of lost) {
        broker.kill(signal);
        await sleep(random.between(0, 2_000));
      }
    },
    async () => {
      await Promise.all(
        random
          .shuffled(lost)
          .map((broker) => (signal === 'SIGSTOP' ? broker.kill('SIGCONT') : broker.restart())),
      );
      await inSync(stage);
    },
  );
}

export const leadersMove: Scenario<BrokersPlatform> = {
  name: 'leaders-move',
  about: 'the leader of each partition is taken away from it, and put back behind the others',
  platform: 'brokers',
  rounds: 3,
  round: (stage, random) =>
    stage.fault(
      'leaders moved',
      'kafka',
      random.between(0, 2_000),
      () => takeLeaders(stage),
      () => spread(stage, random),
    ),
};

export const metadataStale: Scenario<BrokersPlatform> = {
  name: 'metadata-stale',
  about:
    'a gateway hangs while leaders move, and goes on with what it knew; partitions are added behind its back',
  platform: 'brokers',
  rounds: 3,
  round: async (stage, random) => {
    const gateway = random.pick(stage.gateways).running!;
    let moved = Promise.resolve();
    await stage.fault(
      'gateway hangs, leaders moved',
      'kafka',
      // Less than a claim lives.
      random.between(1_000, 4_000),
      () => {
        gateway.kill('SIGSTOP');
        moved = takeLeaders(stage);
      },
      async () => {
        gateway.kill('SIGCONT');
        await moved;
        await spread(stage, random);
      },
    );
    await stage.fault(
      'partition added',
      null,
      0,
      () => addPartition(stage),
      () => inSync(stage),
    );
  },
};

/** Takes the leader of each partition of the topic out of its replicas; resolves when the others have it. */
async function takeLeaders(stage: Brokers): Promise<void> {
  await assign(stage, ({ leader, replicas }) => replicas.filter((one) => one !== leader));
}

/** Gives each partition all three replicas again, in any order. */
async function spread(stage: Brokers, random: Random): Promise<void> {
  await assign(stage, () => random.shuffled([1, 2, 3]));
  await inSync(stage);
}

interface Place {
  leader: number;
  replicas: number[];
}

async function assign(
  { platform, topic }: Brokers,
  replicasOf: (partition: Place) => number[],
): Promise<void> {
  await withAdmin(platform.brokers, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const partitionAssignment = topics[0]!.partitions.map((partition) => ({
      partition: partition.partitionId,
      replicas: replicasOf(partition),
    }));
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] });
    await until('the partitions have moved', async () => {
      const { topics: moving } = await admin.listPartitionReassignments({});
      return moving.length === 0;
    });
  });
}

async function addPartition({ platform, topic }: Brokers): Promise<void> {
  await withAdmin(platform.brokers, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const count = topics[0]!.partitions.length + 1;
    await admin.createPartitions({ topicPartitions: [{ topic, count }] });
  });
}

/** Waits until each partition has its three replicas in sync again. */
function inSync({ platform, topics }: Brokers): Promise<void> {
  return whole(platform.brokers, [...topics, '__consumer_offsets'], 3);
}
