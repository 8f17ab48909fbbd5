import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from 'pino';
import type { OnLog } from './adapters/kafka/client.ts';
import { kafkaEventLog } from './adapters/kafka/event-log.ts';
import { kafkaLogReader } from './adapters/kafka/log-reader.ts';
import { redisDedupeStore } from './adapters/redis/dedupe-store.ts';
import { redisRateStore } from './adapters/redis/rate-store.ts';
import { redisWindowStore } from './adapters/redis/window-store.ts';
import { Spool } from './adapters/spool.ts';
import { openDedupeDatabase, SqliteDedupeStore } from './adapters/sqlite/dedupe-store.ts';
import { sqliteEventLog } from './adapters/sqlite/event-log.ts';
import { SpoolFile } from './adapters/sqlite/spool-file.ts';
import { sqliteWindowStore } from './adapters/sqlite/window-store.ts';
import { type WatchedDedupe, watchDedupe } from './adapters/watch-dedupe.ts';
import type { Config } from './config.ts';
import type { WorkflowConfig } from './config-workflow-types.ts';
import { rejectedRecord } from './gateway/pipeline.ts';
import type { EventLog } from './ports/event-log.ts';
import type { LogReader } from './ports/log-reader.ts';
import type { RateStore } from './ports/rate-store.ts';
import type { WindowStore } from './ports/window-store.ts';
import { topicsOf } from './streams/streams.ts';
import { progressTopic } from './workflows/compile.ts';

/** The log that the config names, and what reads any topic of it. Opens at once; it connects by itself. */
export function openLog(
  config: Config,
  folder: string,
  logger: Logger,
): { log: EventLog; reader: LogReader } {
  const topics = new Set<string>();
  for (const { topic } of config.sources.values()) topics.add(topic).add(`${topic}.rejected`);
  for (const subscription of config.subscriptions.values()) {
    topics.add(subscription.deadLetter);
    if (subscription.redrive !== null) topics.add(subscription.redrive);
    if (subscription.reply !== null) topics.add(subscription.reply);
    for (const topic of subscription.topics) topics.add(topic);
  }
  for (const workflow of config.workflows.values())
    for (const topic of workflowTopics(workflow)) topics.add(topic);
  for (const stream of config.streams.values())
    for (const topic of [...stream.topics, ...topicsOf(stream)]) topics.add(topic);
  return openTopics(config, folder, logger, [...topics]);
}

function workflowTopics({ name, on, steps, result, deadLetter }: WorkflowConfig): string[] {
  const waitedFor = steps.flatMap((step) => ('waitFor' in step ? step.waitFor.topics : []));
  return [progressTopic(name), deadLetter, ...on.topics, ...waitedFor, ...(result === null ? [] : [result])];
}

/** The same for only these topics, and what reads any topic. `reader` is closed with the log. */
export function openTopics(
  config: Config,
  folder: string,
  logger: Logger,
  topics: string[],
): { log: EventLog; reader: LogReader } {
  const { store } = config.log;
  if ('kafka' in store) {
    const onLog: OnLog = (level, message, extra) => logger[level](extra, message);
    const log = kafkaEventLog({ config: store.kafka, topics, onLog });
    return { log, reader: kafkaLogReader(store.kafka, onLog) };
  }
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
export function dedupeOpener(
  config: Config,
  folder: string,
  logger: Logger,
): (window: number) => WatchedDedupe {
  const { store, lease } = config.dedupe;
  const onError = (error: Error) => logger.error({ err: error }, 'dedupe store');
  let file: DatabaseSync | null = null;
  return (window) => {
    const times = { window, lease, onError };
    if ('redis' in store) return watchDedupe(redisDedupeStore({ ...store.redis, ...times }));
    file ??= openDedupeDatabase(resolve(folder, store.embedded.path));
    return watchDedupe(new SqliteDedupeStore(file, times));
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
export function openWindows(
  { streams, dedupe: { store } }: Config,
  folder: string,
  logger: Logger,
): WindowStore | null {
  if (streams.size === 0) return null;
  if (!('redis' in store)) return sqliteWindowStore({ path: resolve(folder, store.embedded.path) });
  return redisWindowStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'window store'),
  });
}

/** Where gateways share the rates of their sources; null when no source has one, or there is no other gateway. */
export function openRates({ sources, dedupe: { store } }: Config, logger: Logger): RateStore | null {
  const limited = [...sources.values()].some(({ rate }) => rate.all !== null || rate.key !== null);
  if (!limited || !('redis' in store)) return null;
  return redisRateStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'rate store'),
  });
}

/** The spool in front of the log; null when the config has none. */
export function openSpool(config: Config, folder: string, log: EventLog, logger: Logger): Spool | null {
  const { spool } = config.log;
  if (spool === null) return null;
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
