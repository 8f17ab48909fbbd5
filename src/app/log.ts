import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { OnLog } from '../adapters/kafka/core/on-log.ts';
import type { Spool } from '../adapters/sqlite/spool.ts';
import type { Config } from '../config/config.ts';
import { topicsOf } from '../config/source/types.ts';
import type { WorkflowConfig } from '../config/workflow/types.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';

// Modules are loaded only when the config needs them: they are most of the start time and of the memory at rest.

export interface OpenLog {
  log: EventLog;
  /** Reads any topic. It closes with the log. */
  reader: LogReader;
}

/** Opens the log of the config with all topics of the config. Resolves before the log is connected. */
export async function openLog(config: Config, folder: string, logger: Logger): Promise<OpenLog> {
  const topics = new Set<string>();
  for (const source of config.sources.values()) for (const topic of topicsOf(source)) topics.add(topic);
  for (const subscription of config.subscriptions.values()) {
    topics.add(subscription.deadLetter);
    if (subscription.redrive !== null) topics.add(subscription.redrive);
    if (subscription.reply !== null) topics.add(subscription.reply);
    for (const topic of subscription.topics) topics.add(topic);
  }
  for (const workflow of config.workflows.values())
    for (const topic of await workflowTopics(workflow)) topics.add(topic);
  for (const stream of config.streams.values()) {
    const streams = await import('../streams/streams.ts');
    for (const topic of [...stream.topics, ...streams.topicsOf(stream)]) topics.add(topic);
  }
  return openTopics(config, folder, logger, [...topics]);
}

async function workflowTopics({ name, on, steps, result, deadLetter }: WorkflowConfig): Promise<string[]> {
  const { progressTopic } = await import('../workflows/compile.ts');
  const waitedFor = steps.flatMap((step) => ('waitFor' in step ? step.waitFor.topics : []));
  return [progressTopic(name), deadLetter, ...on.topics, ...waitedFor, ...(result === null ? [] : [result])];
}

/** As `openLog`, with these topics only. */
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

/** The log's brokers as functions get them: host:port, joined by commas. Empty for the embedded log. */
export function bootstrapServers({ log: { store } }: Config): string {
  return 'kafka' in store ? store.kafka.brokers.join(',') : '';
}

/** Opens the spool in front of the log; null when the config has none. */
export async function openSpool(
  config: Config,
  folder: string,
  log: EventLog,
  logger: Logger,
): Promise<Spool | null> {
  const { spool } = config.log;
  if (spool === null) return null;
  const [{ Spool }, { SpoolFile }, { tooLargeRecord }] = await Promise.all([
    import('../adapters/sqlite/spool.ts'),
    import('../adapters/sqlite/spool-file.ts'),
    import('../gateway/store.ts'),
  ]);
  const file = new SpoolFile(resolve(folder, spool.path), (aside, error) =>
    logger.error(
      { aside, err: error },
      'the spool is damaged: its file is put aside, and the events in it are not forwarded',
    ),
  );
  return new Spool({
    log,
    file,
    after: spool.after,
    max: spool.max,
    tooLarge: (record) => tooLargeRecord(record, 'spool'),
    onLog: (level, message, extra) => logger[level](extra, message),
  });
}
