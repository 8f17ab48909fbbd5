import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from 'pino';
import type { OnLog } from '../adapters/kafka/core/on-log.ts';
import type { Spool } from '../adapters/sqlite/spool.ts';
import { type WatchedDedupe, watchDedupe } from '../adapters/watch-dedupe.ts';
import type { Config } from '../config/config.ts';
import type { WorkflowConfig } from '../config/workflow/types.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import type { RateStore } from '../ports/rate-store.ts';
import type { WindowStore } from '../ports/window-store.ts';

// What a config does not name is not loaded: modules are most of a start's time and of the memory at rest.

export interface OpenLog {
  log: EventLog;
  /** Reads any topic; closed with the log. */
  reader: LogReader;
}

/** The log that the config names, and what reads any topic of it. Opens at once; it connects by itself. */
export async function openLog(config: Config, folder: string, logger: Logger): Promise<OpenLog> {
  const topics = new Set<string>();
  for (const { topic } of config.sources.values()) topics.add(topic).add(`${topic}.rejected`);
  for (const subscription of config.subscriptions.values()) {
    topics.add(subscription.deadLetter);
    if (subscription.redrive !== null) topics.add(subscription.redrive);
    if (subscription.reply !== null) topics.add(subscription.reply);
    for (const topic of subscription.topics) topics.add(topic);
  }
  for (const workflow of config.workflows.values())
    for (const topic of await workflowTopics(workflow)) topics.add(topic);
  for (const stream of config.streams.values()) {
    const { topicsOf } = await import('../streams/streams.ts');
    for (const topic of [...stream.topics, ...topicsOf(stream)]) topics.add(topic);
  }
  return openTopics(config, folder, logger, [...topics]);
}

async function workflowTopics({ name, on, steps, result, deadLetter }: WorkflowConfig): Promise<string[]> {
  const { progressTopic } = await import('../workflows/compile.ts');
  const waitedFor = steps.flatMap((step) => ('waitFor' in step ? step.waitFor.topics : []));
  return [progressTopic(name), deadLetter, ...on.topics, ...waitedFor, ...(result === null ? [] : [result])];
}

/** The same for only these topics, and what reads any topic. `reader` is closed with the log. */
export async function openTopics(
  config: Config,
  folder: string,
  logger: Logger,
  topics: string[],
): Promise<OpenLog> {
  const { store } = config.log;
  if ('kafka' in store) {
    const [{ kafkaEventLog }, { kafkaLogReader }] = await Promise.all([
      import('../adapters/kafka/event-log.ts'),
      import('../adapters/kafka/kafkajs/log-reader.ts'),
    ]);
    const onLog: OnLog = (level, message, extra) => logger[level](extra, message);
    const log = kafkaEventLog({ config: store.kafka, topics, onLog });
    return { log, reader: kafkaLogReader(store.kafka, onLog) };
  }
  const { sqliteEventLog } = await import('../adapters/sqlite/event-log.ts');
  const { path, retention } = store.embedded;
  const log = sqliteEventLog({
    path: resolve(folder, path),
    retention,
    onError: (error) => logger.error({ err: error }, 'embedded log'),
  });
  return { log, reader: log };
}

/** The log's brokers, as functions are told of them: host:port, joined by commas; none when it is embedded. */
export function bootstrapServers({ log: { store } }: Config): string {
  return 'kafka' in store ? store.kafka.brokers.join(',') : '';
}

/**
 * What opens dedupe stores, each of which remembers for `window` milliseconds; those of the embedded kind share a
 * file, which is closed with the first of them.
 */
export async function dedupeOpener(
  config: Config,
  folder: string,
  logger: Logger,
): Promise<(window: number) => WatchedDedupe> {
  const { store, lease } = config.dedupe;
  const onError = (error: Error) => logger.error({ err: error }, 'dedupe store');
  if ('redis' in store) {
    const { redis } = store;
    const { redisDedupeStore } = await import('../adapters/redis/dedupe-store.ts');
    return (window) => watchDedupe(redisDedupeStore({ ...redis, window, lease, onError }));
  }
  const { path } = store.embedded;
  const { openDedupeDatabase, SqliteDedupeStore } = await import('../adapters/sqlite/dedupe-store.ts');
  let file: DatabaseSync | null = null;
  return (window) => {
    file ??= openDedupeDatabase(resolve(folder, path));
    return watchDedupe(new SqliteDedupeStore(file, { window, lease, onError }));
  };
}

/** Where deliveries are remembered: a store for each time in milliseconds that a subscription has as `dedupe`. */
export function openDeliveries(
  { subscriptions }: Config,
  open: (window: number) => WatchedDedupe,
): ReadonlyMap<number, WatchedDedupe> {
  const windows = new Set([...subscriptions.values()].flatMap(({ dedupe }) => dedupe ?? []));
  return new Map([...windows].map((window) => [window, open(window)]));
}

/** Where streams keep their windows; null when there are none. */
export async function openWindows(
  { streams, dedupe: { store } }: Config,
  folder: string,
  logger: Logger,
): Promise<WindowStore | null> {
  if (streams.size === 0) return null;
  if (!('redis' in store)) {
    const { sqliteWindowStore } = await import('../adapters/sqlite/window-store.ts');
    return sqliteWindowStore({ path: resolve(folder, store.embedded.path) });
  }
  const { redisWindowStore } = await import('../adapters/redis/window-store.ts');
  return redisWindowStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'window store'),
  });
}

/** Where gateways share the rates of their sources; null when no source has one, or there is no other gateway. */
export async function openRates(
  { sources, dedupe: { store } }: Config,
  logger: Logger,
): Promise<RateStore | null> {
  const limited = [...sources.values()].some(({ rate }) => rate.all !== null || rate.key !== null);
  if (!limited || !('redis' in store)) return null;
  const { redisRateStore } = await import('../adapters/redis/rate-store.ts');
  return redisRateStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'rate store'),
  });
}

/** The spool in front of the log; null when the config has none. */
export async function openSpool(
  config: Config,
  folder: string,
  log: EventLog,
  logger: Logger,
): Promise<Spool | null> {
  const { spool } = config.log;
  if (spool === null) return null;
  const [{ Spool }, { SpoolFile }, { rejectedRecord }] = await Promise.all([
    import('../adapters/sqlite/spool.ts'),
    import('../adapters/sqlite/spool-file.ts'),
    import('../gateway/pipeline.ts'),
  ]);
  const file = new SpoolFile(resolve(folder, spool.path), (aside, error) =>
    logger.error(
      { aside, err: error },
      'the spool was damaged: it is put aside, and what it held is not forwarded',
    ),
  );
  const reason = [{ code: 'event_too_large' as const, detail: "over the topic's record size limit" }];
  return new Spool({
    log,
    file,
    after: spool.after,
    max: spool.max,
    tooLarge: (record) => rejectedRecord(record, reason, 'spool', true),
    onLog: (level, message, extra) => logger[level](extra, message),
  });
}
