import type { Logger } from 'pino';
import { logReport } from '../adapters/telemetry/logging.ts';
import { bootstrapServers, openTopics } from '../app/stores.ts';
import type { Config } from '../config/config.ts';
import { replay, replayGroup } from '../dispatcher/replay.ts';
import { countOf, subscriptionOf, timesOf, UsageError } from './command-line.ts';

export interface ReplayCommandOptions {
  config: Config;
  /** Folder that relative paths of the config start from. */
  base: string;
  logger: Logger;
  values: {
    subscription?: string | undefined;
    from?: string | undefined;
    to?: string | undefined;
    rate?: string | undefined;
    json?: boolean | undefined;
  };
  print(text: string): void;
}

/** `postern replay`. Resolves with false when it was stopped before its end. */
export async function replayCommand({
  config,
  base,
  logger,
  values,
  print,
}: ReplayCommandOptions): Promise<boolean> {
  const subscription = subscriptionOf(config, values.subscription);
  const { from, to } = timesOf(values.from, values.to);
  if (from === null) throw new UsageError('replay needs --from TIME');
  const rate = countOf('rate', values.rate);
  const { topics, deadLetter, reply } = subscription;
  const written = reply === null ? [deadLetter] : [deadLetter, reply];
  const { log, reader } = await openTopics(config, base, logger, [...topics, ...written]);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const { events, finished } = await replay({
      ...{ subscription, log, reader, from, to, rate },
      report: logReport(logger),
      bootstrapServers: bootstrapServers(config),
      grace: config.grace,
      signal: stop.signal,
    });
    const group = replayGroup(subscription, from);
    const { delivered, filtered, dead_letter: dead } = events;
    if (values.json) print(JSON.stringify({ finished, group, delivered, filtered, deadLetters: dead }));
    else {
      print(`${delivered} delivered, ${filtered} filtered out, ${dead} dead letters; group ${group}`);
      if (finished && delivered + filtered + dead === 0)
        print('nothing was left of it; a replay that is done begins again with another --from');
      if (!finished) print('stopped before its end; the same command goes on from here');
    }
    return finished;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await log.close();
  }
}
