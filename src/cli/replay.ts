import { logReport } from '../adapters/telemetry/logging.ts';
import { bootstrapServers, openTopics } from '../app/log.ts';
import { replay, replayGroup } from '../dispatcher/replay.ts';
import { countOf, subscriptionOf, timesOf, UsageError } from './command-line.ts';
import type { LogCommandLine } from './config-file.ts';

/** `postern replay`. Resolves with false when a signal stopped it before its end. */
export async function replayEvents({
  config,
  base,
  logger,
  values,
  print,
}: LogCommandLine): Promise<boolean> {
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
        print('there was nothing left to replay; a finished replay begins again only with another --from');
      if (!finished) print('stopped before its end; the same command continues from here');
    }
    return finished;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await log.close();
  }
}
