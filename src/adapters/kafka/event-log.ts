import type { Admin } from 'kafkajs';
import type { KafkaConfig } from '../../config/config.ts';
import { onAbort } from '../../core/lifecycle.ts';
import type { AppendVerdict, EventLog, LogRecord } from '../../ports/event-log.ts';
import { TopicAppender, type TopicProducer } from './core/topic-appender.ts';
import { type OnLog, withAdmin } from './kafkajs/client.ts';
import { KafkaConsumption } from './kafkajs/consumption.ts';
import type { GroupTiming } from './kafkajs/waiting-consumer.ts';
import { kafkajsProducer } from './kafkajs/producer.ts';
import { createMissing, loadTopics, rootCause, type TopicInfo } from './kafkajs/topics.ts';

export interface KafkaEventLogOptions {
  config: KafkaConfig;
  /** What is appended to or read: missing ones are a problem, or are created when `config.create` is set. */
  topics: string[];
  onLog: OnLog;
  /** Milliseconds; for tests that cannot wait for Kafka's usual ones. */
  group?: Partial<GroupTiming>;
}

/** Milliseconds between two looks at the topics, when all is well and when not. */
const LOOK_MS = 30_000;
const LOOK_AGAIN_MS = 1_500;
const ADMIN_MS = 10_000;

/** The log in Kafka. Opens at once, also with no broker there: it connects by itself, and again after a loss. */
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

  // Only when it is wanted: to load it takes half a second and 45 MiB. kafkajs reads in any case: the other's consumer
  // tells of a rebalance when it gives its partitions up, and waits for nobody to finish.
  const other = config.client === 'platformatic' ? import('./platformatic/producer.ts') : null;
  const open = async (topic: string): Promise<TopicProducer> =>
    other === null
      ? kafkajsProducer(config, topic, onLog)
      : (await other).platformaticProducer(config, topic);

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
      const contact = async (admin: Admin) => {
        if (config.create !== null) await createMissing(admin, options.topics, config.create, onLog);
        const loaded = await loadTopics(admin, [...appenders.keys()]);
        for (const [topic, info] of loaded) appenders.get(topic)!.update(info);
      };
      await withAdmin(config, onLog, ADMIN_MS, contact, closing.signal);
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
      // An append that failed is a reason to look at once.
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
      const parts = byTopic(records).map(([topic, part]) =>
        appenderOf(topic).append(part.records, part.places, verdicts),
      );
      await Promise.all(parts);
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

interface Part {
  records: LogRecord[];
  places: number[];
}

function byTopic(records: LogRecord[]): [string, Part][] {
  const parts = new Map<string, Part>();
  for (let place = 0; place < records.length; place++) {
    const record = records[place]!;
    let part = parts.get(record.topic);
    if (part === undefined) {
      part = { records: [], places: [] };
      parts.set(record.topic, part);
    }
    part.records.push(record);
    part.places.push(place);
  }
  return [...parts];
}
