import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenLog, openTopics } from '../app/log.ts';
import { compileLetterFilter, type LetterFilter, readLetters } from '../dispatcher/dead-letter-search.ts';
import { redrive } from '../dispatcher/redrive.ts';
import type { EventLog } from '../ports/event-log.ts';
import { countOf, subscriptionOf, timesOf, UsageError } from './command-line.ts';
import type { LogCommandLine } from './config-file.ts';
import { Listing, letterJson, letterText, redriveText } from './dead-letters-text.ts';

/** Rows of a list for people without `--limit`. */
const SHOWN = 100;
/** Milliseconds that a redrive waits until its topic takes records. */
const READY_MS = 20_000;

/** `postern dead-letters list`. */
export async function listLetters(line: LogCommandLine): Promise<boolean> {
  const { config, values, print } = line;
  const subscription = subscriptionOf(config, values.subscription);
  const limit = countOf('limit', values.limit);
  const listing = new Listing(limit ?? SHOWN);
  const wanted = filterOf(values.filter);
  const times = timesOf(values.from, values.to);
  return withLog(line, [], async ({ reader }) => {
    let printed = 0;
    const passed = await readLetters({ subscription, reader, wanted, ...times }, async (letter, redriven) => {
      if (values.json) print(JSON.stringify(letterJson(letter, redriven)));
      else listing.add(letter, redriven);
      return !values.json || ++printed !== limit;
    });
    if (!values.json) print(listing.text(subscription, passed, wanted));
    return true;
  });
}

/** `postern dead-letters show PLACE`. Resolves with false when there is none at that place. */
export async function showLetter(line: LogCommandLine): Promise<boolean> {
  const { config, values, print } = line;
  const [place = ''] = line.args;
  const subscription = subscriptionOf(config, values.subscription);
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(place);
  if (match === null)
    throw new UsageError('dead-letters show needs a PLACE as list prints it: partition:offset, such as 0:12');
  const [partition, offset] = [Number(match[1]), Number(match[2])];
  return withLog(line, [], async ({ reader }) => {
    let found = false;
    const only = { partition, from: offset, end: offset + 1 };
    await readLetters(
      { subscription, reader, wanted: null, from: null, to: null, only },
      async (letter, redriven) => {
        found = true;
        print(
          values.json ? JSON.stringify(letterJson(letter, redriven, true)) : letterText(letter, redriven),
        );
        return true;
      },
    );
    if (!found)
      print(`there is no dead letter of ${subscription.name} at ${place} of ${subscription.deadLetter}`);
    return found;
  });
}

/** `postern dead-letters redrive`. Resolves with false when some were not stored. */
export async function redriveLetters(line: LogCommandLine): Promise<boolean> {
  const { config, values, print } = line;
  const subscription = subscriptionOf(config, values.subscription);
  const dryRun = values['dry-run'] ?? false;
  const { name, redrive: topic } = subscription;
  if (topic === null && !dryRun) {
    throw new UsageError(
      `subscriptions.${name} has no redrive topic, because log.kafka.create is false: create a topic and set redrive`,
    );
  }
  const wanted = filterOf(values.filter);
  const amount = { limit: countOf('limit', values.limit), rate: countOf('rate', values.rate) };
  const times = timesOf(values.from, values.to);
  return withLog(line, dryRun ? [] : [topic!], async ({ log, reader }) => {
    if (!dryRun) await ready(log);
    const redriven = await redrive({
      ...{ subscription, reader, log, wanted, dryRun },
      ...amount,
      ...times,
      clock: () => performance.now(),
      pause: sleep,
    });
    const { others, ...counts } = redriven;
    if (values.json) print(JSON.stringify({ ...counts, others: Object.fromEntries(others), dryRun }));
    else print(redriveText(redriven, subscription, dryRun, wanted));
    return redriven.failed === 0;
  });
}

function filterOf(text: string | undefined): LetterFilter | null {
  if (text === undefined) return null;
  try {
    return compileLetterFilter(text);
  } catch (error) {
    throw new UsageError(`--filter is not CEL: ${(error as Error).message}`);
  }
}

/** Opens the log, and closes it after `use`. `topics`: those that it appends to. */
async function withLog(
  { config, base, logger }: LogCommandLine,
  topics: string[],
  use: (opened: OpenLog) => Promise<boolean>,
): Promise<boolean> {
  const opened = await openTopics(config, base, logger, topics);
  try {
    return await use(opened);
  } finally {
    await opened.log.close();
  }
}

async function ready(log: EventLog): Promise<void> {
  const until = performance.now() + READY_MS;
  for (let problem = log.problem(); problem !== null; problem = log.problem()) {
    if (performance.now() > until) throw new UsageError(problem);
    await sleep(100);
  }
}
