import kafkajs, {
  type Cluster,
  type Consumer,
  type Kafka,
  PartitionAssigners,
  type RetryOptions,
} from 'kafkajs';

// Node finds only some of kafkajs' names in its CommonJS.
const { KafkaJSNonRetriableError } = kafkajs;

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
  /** The broker does not know a topic that it was asked for. */
  onUnknownTopic(error: Error): void;
  /** Whether positions may be committed. */
  mayCommit(): boolean;
}

type Broker = Awaited<ReturnType<Cluster['findBroker']>>;

/**
 * A kafkajs consumer that waits. By itself kafkajs gives partitions up without asking, and reads on before
 * anybody is told what is assigned. Both are held up where it asks its cluster (an object of this consumer
 * alone, which it hands to the assigner) for something: the group's coordinator before each join, and
 * metadata that may have become old before each fetch.
 *
 * It tries a commit again and again while the topic is unknown: one that has been made again meanwhile would get the
 * positions of the one that was deleted. So the brokers that it is given are watched.
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
  const findBroker = cluster.findBroker.bind(cluster);
  const watched = new WeakSet<Broker>();
  cluster.findBroker = async (node) => {
    const broker = await findBroker(node);
    if (!watched.has(broker)) watch(broker, hooks);
    watched.add(broker);
    return broker;
  };
}

function watch(broker: Broker, { onUnknownTopic, mayCommit }: Hooks): void {
  const look = (error: Error & { type?: string }): never => {
    if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') onUnknownTopic(error);
    throw error;
  };
  const fetch = broker.fetch.bind(broker);
  broker.fetch = (request) => fetch(request).catch(look);
  const offsetCommit = broker.offsetCommit.bind(broker);
  broker.offsetCommit = async (request) => {
    if (!mayCommit()) throw new KafkaJSNonRetriableError('a topic is unknown, and may be another one now');
    return offsetCommit(request).catch(look);
  };
}
