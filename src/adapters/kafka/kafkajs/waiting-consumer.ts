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
  /** A member that is silent for so long is expelled. */
  session: number;
  /** Time for members to finish their work and join again. */
  rebalance: number;
  heartbeat: number;
  /** Time that a fetch waits for records. */
  wait: number;
  /** Time between two looks at the number of partitions. */
  metadata: number;
}

/** After some seconds of retries kafkajs reports a crash; consumption.ts then restarts or tells the sink. */
export const RETRY: RetryOptions = {
  retries: 5,
  initialRetryTime: 200,
  maxRetryTime: 3_000,
  restartOnFailure: async () => false,
};

export interface Hooks {
  /** Awaited before each attempt to join the group. */
  beforeJoin(): Promise<void>;
  /** Awaited before each fetch. */
  beforeFetch(): Promise<void>;
  /** The broker denied that a topic exists. */
  onUnknownTopic(error: Error): void;
  /** Whether offsets may be committed. */
  mayCommit(): boolean;
}

type Broker = Awaited<ReturnType<Cluster['findBroker']>>;

/**
 * A kafkajs consumer that waits for its hooks. By itself kafkajs gives partitions up without waiting for work to finish,
 * and fetches before anybody knows the assignment. Its assigner receives the consumer's own cluster object. Two methods
 * of that are wrapped: the search for the group's coordinator, which comes before each join, and the refresh of
 * metadata, which comes before each fetch.
 *
 * kafkajs also repeats a commit while the topic is unknown. A topic that was deleted and made again would then get the
 * offsets of the deleted one. So the cluster's brokers are wrapped, too: they report unknown topics and refuse commits.
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
        wrapCluster(parts.cluster, hooks);
        return PartitionAssigners.roundRobin(parts);
      },
    ],
  });
}

function wrapCluster(cluster: Cluster, hooks: Hooks): void {
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
  const wrapped = new WeakSet<Broker>();
  cluster.findBroker = async (node) => {
    const broker = await findBroker(node);
    if (!wrapped.has(broker)) wrapBroker(broker, hooks);
    wrapped.add(broker);
    return broker;
  };
}

function wrapBroker(broker: Broker, { onUnknownTopic, mayCommit }: Hooks): void {
  const report = (error: Error & { type?: string }): never => {
    if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') onUnknownTopic(error);
    throw error;
  };
  const fetch = broker.fetch.bind(broker);
  broker.fetch = (request) => fetch(request).catch(report);
  const offsetCommit = broker.offsetCommit.bind(broker);
  broker.offsetCommit = async (request) => {
    if (!mayCommit()) throw new KafkaJSNonRetriableError('a topic is unknown, and may be another one now');
    return offsetCommit(request).catch(report);
  };
}
