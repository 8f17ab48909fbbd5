import type { KafkaConfig } from '../../config/log/types.ts';
import { onAbort } from '../../core/lifecycle.ts';
import type { AppendVerdict, EventLog } from '../../ports/event-log.ts';
import { rootCause } from './core/failures.ts';
import type { OnLog } from './core/on-log.ts';
import type { TopicInfo } from './core/plan.ts';
import { TopicAppender, type TopicProducer } from './core/topic-appender.ts';
import { withAdmin } from './kafkajs/client.ts';
import { KafkaConsumption } from './kafkajs/consumption.ts';
import { kafkajsProducer } from './kafkajs/producer.ts';
import { createMissing, loadTopics } from './kafkajs/topics.ts';
import type { GroupTiming } from './kafkajs/waiting-consumer.ts';

export interface KafkaEventLogOptions {
  config: KafkaConfig;
  /** All topics that are appended to or read. A missing one is a problem, or is created when `config.create` is set. */
  topics: string[];
  onLog: OnLog;
  /** Other times for groups, in tests that cannot wait for the usual ones. */
  group?: Partial<GroupTiming>;
}

/** Milliseconds between two looks at the topics: while all is well, and while there is a problem. */
const LOOK_MS = 30_000;
const LOOK_AGAIN_MS = 1_500;
const ADMIN_MS = 10_000;

/**
 * The log in Kafka. Opens at once, even while no broker answers: it connects in the background, and again after a loss.
 * kafkajs does everything but appends with `client: platformatic`: the other library cannot wait for work to finish
 * before it gives partitions up (its `group:rebalance` is a synchronous event).
 */
export function kafkaEventLog(options: KafkaEventLogOptions): EventLog {
  const { config, onLog } = options;
  const appenders = new Map<string, TopicAppender>();
  const consumptions = new Set<KafkaConsumption>();
  const closing = new AbortController();
  let lookNow = () => {};
  let brokerProblem: string | null = `Kafka ${config.brokers}: not connected yet`;

  const load = async (topic: string): Promise<TopicInfo> => {
    const info = (await withAdmin(config, onLog, ADMIN_MS / 2, (admin) => loadTopics(admin, [topic]))).get(
      topic,
    )!;
    if (info instanceof Error) throw info;
    return info;
  };

  // Loaded only when it is wanted: that takes half a second and 45 MiB.
  const platformatic = config.client === 'platformatic' ? import('./platformatic/producer.ts') : null;
  const open = async (topic: string): Promise<TopicProducer> =>
    platformatic === null
      ? kafkajsProducer(config, topic, onLog)
      : (await platformatic).platformaticProducer(config, topic);

  const appenderOf = (topic: string): TopicAppender => {
    let appender = appenders.get(topic);
    if (appender === undefined) {
      appender = new TopicAppender({ topic, onLog, open, load, onTrouble: () => lookNow() });
      appenders.set(topic, appender);
    }
    return appender;
  };
  for (const topic of options.topics) appenderOf(topic);

  const problem = (): string | null => {
    if (brokerProblem !== null) return brokerProblem;
    for (const [topic, { error }] of appenders) {
      if (error !== null) return `Kafka topic ${topic}: ${error.message}`;
    }
    return null;
  };

  const look = async (): Promise<void> => {
    try {
      const loaded = await withAdmin(
        config,
        onLog,
        ADMIN_MS,
        async (admin) => {
          if (config.create !== null) await createMissing(admin, options.topics, config.create, onLog);
          return loadTopics(admin, [...appenders.keys()]);
        },
        closing.signal,
      );
      for (const [topic, info] of loaded) appenders.get(topic)!.update(info);
      if (brokerProblem !== null) onLog('info', 'connected to Kafka', { brokers: config.brokers });
      brokerProblem = null;
    } catch (error) {
      if (closing.signal.aborted) return;
      brokerProblem = `Kafka ${config.brokers}: ${rootCause(error).message}`;
      onLog('warn', 'Kafka cannot be reached', { brokers: config.brokers, error: rootCause(error).message });
    }
  };
  const looking = (async () => {
    while (!closing.signal.aborted) {
      await look();
      const { promise, resolve } = Promise.withResolvers<void>();
      const wait = problem() === null ? LOOK_MS : LOOK_AGAIN_MS;
      const timer = setTimeout(resolve, wait * (0.75 + Math.random() / 2));
      // Called after an append that failed.
      lookNow = resolve;
      if (closing.signal.aborted) resolve();
      await promise;
      clearTimeout(timer);
    }
  })();

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    closing.abort();
    lookNow();
    await Promise.all([...consumptions].map((one) => one.stop()));
    await Promise.all([...appenders.values()].map((appender) => appender.close()));
    await looking;
  };

  return {
    problem,
    append: async (records) => {
      const verdicts = records.map((): AppendVerdict => 'failed');
      const topics = Map.groupBy(records.keys(), (index) => records[index]!.topic);
      const appends = [...topics].map(([topic, indexes]) => {
        const own = topics.size === 1 ? records : indexes.map((index) => records[index]!);
        return appenderOf(topic).append(own, indexes, verdicts);
      });
      await Promise.all(appends);
      return verdicts;
    },
    consume: async ({ signal, ...consume }, sink) => {
      const consumption = new KafkaConsumption({
        ...consume,
        config,
        onLog,
        sink,
        timing: options.group ?? {},
      });
      consumptions.add(consumption);
      consumption.ended.then(() => consumptions.delete(consumption));
      onAbort(signal, () => void consumption.stop());
      await consumption.started;
      return consumption;
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
