import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type OpenLog, openTopics } from '../app/stores.ts';
import type { Config } from '../config/config.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { compileLetterFilter, type LetterFilter, readLetters } from '../dispatcher/dead-letter-search.ts';
import { redrive } from '../dispatcher/redrive.ts';
import type { EventLog } from '../ports/event-log.ts';
import { countOf, subscriptionOf, timesOf, UsageError } from './command-line.ts';
import { Listing, letterJson, letterText, redriveText } from './dead-letters-text.ts';

export interface DeadLettersOptions {
  config: Config;
  /** Folder that relative paths of the config start from. */
  base: string;
  logger: Logger;
  action: string | undefined;
  /** Of `show`: partition:offset. */
  place: string | undefined;
  values: {
    subscription?: string | undefined;
    filter?: string | undefined;
    limit?: string | undefined;
    rate?: string | undefined;
    from?: string | undefined;
    to?: string | undefined;
    'dry-run'?: boolean | undefined;
    json?: boolean | undefined;
  };
  print(text: string): void;
}

/** Letters that a list for people shows unless `--limit` says otherwise. */
const SHOWN = 100;
/** Milliseconds for which a redrive waits until its topic can be appended to. */
const READY_MS = 20_000;

/** `postern dead-letters`: list, show or redrive. Resolves with false when something is wrong that was printed. */
export async function deadLetters(options: DeadLettersOptions): Promise<boolean> {
  const { action, values } = options;
  if (action !== 'list' && action !== 'show' && action !== 'redrive')
    throw new UsageError(
      `dead-letters needs one of list, show PLACE and redrive${action ? `, not ${action}` : ''}`,
    );
  if (action !== 'show' && options.place !== undefined)
    throw new UsageError(`dead-letters ${action} does not take the argument ${options.place}`);
  if (action !== 'redrive' && (values.rate !== undefined || values['dry-run']))
    throw new UsageError(`--rate and --dry-run go with redrive, not with ${action}`);
  const subscription = subscriptionOf(options.config, values.subscription);
  if (action === 'show') return show(options, subscription);
  return action === 'list' ? list(options, subscription) : send(options, subscription);
}

async function list(options: DeadLettersOptions, subscription: SubscriptionConfig): Promise<boolean> {
  const { values, print } = options;
  const limit = countOf('limit', values.limit);
  const listing = new Listing(limit ?? SHOWN);
  const wanted = filterOf(values.filter);
  const times = timesOf(values.from, values.to);
  return withLog(options, [], async ({ reader }) => {
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

async function show(options: DeadLettersOptions, subscription: SubscriptionConfig): Promise<boolean> {
  const { values, place, print } = options;
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(place ?? '');
  if (match === null)
    throw new UsageError('dead-letters show needs a PLACE as list prints it: partition:offset, such as 0:12');
  const given = ['filter', 'limit', 'from', 'to'].find((name) => Object.hasOwn(values, name));
  if (given !== undefined) throw new UsageError(`--${given} goes with list and redrive, not with show`);
  const [partition, offset] = [Number(match[1]), Number(match[2])];
  return withLog(options, [], async ({ reader }) => {
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

async function send(options: DeadLettersOptions, subscription: SubscriptionConfig): Promise<boolean> {
  const { values, print } = options;
  const dryRun = values['dry-run'] ?? false;
  const { name, redrive: topic } = subscription;
  if (topic === null && !dryRun) {
    throw new UsageError(
      `subscriptions.${name}.redrive names no topic, and log.kafka.create is false: make one and name it`,
    );
  }
  const wanted = filterOf(values.filter);
  const amount = { limit: countOf('limit', values.limit), rate: countOf('rate', values.rate) };
  const times = timesOf(values.from, values.to);
  return withLog(options, dryRun ? [] : [topic!], async ({ log, reader }) => {
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

/** Opens the log for so long as `use` needs it; `topics` are those that it appends to. */
async function withLog(
  { config, base, logger }: DeadLettersOptions,
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
