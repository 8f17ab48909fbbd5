import { type Cluster, type Consumer, type Kafka, PartitionAssigners, type RetryOptions } from 'kafkajs';

/** Milliseconds. */
export interface GroupTiming {
  /** After which the group gives up a member that is silent. */
  session: number;
  /** That members have to finish and join again. */
  rebalance: number;
  heartbeat: number;
  /** That a fetch waits for records. */
  wait: number;
  /** After which the number of partitions is looked at again. */
  metadata: number;
}

/** What kafkajs cannot settle in some seconds is a crash: our own restart tells the sink. */
export const RETRY: RetryOptions = {
  retries: 5,
  initialRetryTime: 200,
  maxRetryTime: 3_000,
  restartOnFailure: async () => false,
};

export interface Hooks {
  /** Awaited before each try to join the group. */
  beforeJoin(): Promise<void>;
  /** Awaited before each fetch. */
  beforeFetch(): Promise<void>;
}

/**
 * A kafkajs consumer that waits. By itself kafkajs gives partitions up without asking, and reads on before
 * anybody is told what is assigned. Both are held up where it asks its cluster (an object of this consumer
 * alone, which it hands to the assigner) for something: the group's coordinator before each join, and
 * metadata that may have become old before each fetch.
 */
export function waitingConsumer(kafka: Kafka, groupId: string, timing: GroupTiming, hooks: Hooks): Consumer {
  return kafka.consumer({
    groupId,
    retry: RETRY,
    sessionTimeout: timing.session,
    rebalanceTimeout: timing.rebalance,
    heartbeatInterval: timing.heartbeat,
    maxWaitTimeInMs: timing.wait,
    metadataMaxAge: timing.metadata,
    allowAutoTopicCreation: false,
    partitionAssigners: [
      (parts) => {
        holdUp(parts.cluster, hooks);
        return PartitionAssigners.roundRobin(parts);
      },
    ],
  });
}

function holdUp(cluster: Cluster, hooks: Hooks): void {
  const findGroupCoordinator = cluster.findGroupCoordinator.bind(cluster);
  cluster.findGroupCoordinator = async (query) => {
    await hooks.beforeJoin();
    return findGroupCoordinator(query);
  };
  const refreshMetadataIfNecessary = cluster.refreshMetadataIfNecessary.bind(cluster);
  cluster.refreshMetadataIfNecessary = async () => {
    await hooks.beforeFetch();
    return refreshMetadataIfNecessary();
  };
}
