import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { compileFilter } from '../filter/filter.ts';
import type { LogReader, Range } from '../ports/log-reader.ts';
import { eventOf, groupOf, lineageOf, placeName, readLetter, type StoredLetter } from './stored-letter.ts';

export interface LettersOptions {
  subscription: SubscriptionConfig;
  reader: LogReader;
  /** Null: all letters are wanted. */
  wanted: LetterFilter | null;
  /** Milliseconds since 1970: only letters of this time or later, and before that one. */
  from: number | null;
  to: number | null;
  /** Only this part of the dead-letter topic. */
  only?: Omit<Range, 'topic'>;
}

/** The records that were passed over. */
export interface PassedOver {
  /** Counts of letters by the names of other subscriptions with the same dead-letter topic. */
  others: Map<string, number>;
  /** Records that are no dead letters. */
  foreign: number;
  unwanted: number;
}

/**
 * Reads the present dead letters of one subscription, partition by partition, until `visit` resolves with false.
 * `redriven`: the letter has been sent again already.
 */
export async function readLetters(
  { subscription, reader, wanted, from, to, only }: LettersOptions,
  visit: (letter: StoredLetter, redriven: boolean) => Promise<boolean>,
): Promise<PassedOver> {
  const passed: PassedOver = { others: new Map(), foreign: 0, unwanted: 0 };
  const all = await reader.ranges(subscription.deadLetter, from ?? undefined);
  const ranges = only === undefined ? all : all.flatMap((range) => shared(range, only));
  const ledger = await readLedger(subscription, reader);
  await reader.read(ranges, async (records) => {
    for (const record of records) {
      if ((from !== null && record.timestamp < from) || (to !== null && record.timestamp >= to)) continue;
      const letter = readLetter(record);
      if (letter === null) passed.foreign++;
      else if (letter.subscription !== subscription.name) {
        passed.others.set(letter.subscription, (passed.others.get(letter.subscription) ?? 0) + 1);
      } else if (wanted !== null && !wanted.match(letter)) passed.unwanted++;
      else if (!(await visit(letter, ledger.has(placeName(record))))) return false;
    }
    return true;
  });
  return passed;
}

function shared(range: Range, only: Omit<Range, 'topic'>): Range[] {
  if (range.partition !== only.partition) return [];
  return [{ ...range, from: Math.max(range.from, only.from), end: Math.min(range.end, only.end) }];
}

/**
 * Names of the letters that were sent again. The redrive topic is the only account of that, so a process that dies
 * cannot leave two accounts that differ.
 */
async function readLedger(
  { redrive, group }: SubscriptionConfig,
  reader: LogReader,
): Promise<ReadonlySet<string>> {
  const ledger = new Set<string>();
  if (redrive === null) return ledger;
  await reader.read(await reader.ranges(redrive), async (records) => {
    for (const record of records) {
      const last = groupOf(record) === group ? lineageOf(record).at(-1) : undefined;
      if (last !== undefined) ledger.add(last);
    }
    return true;
  });
  return ledger;
}

export interface LetterFilter {
  match(letter: StoredLetter): boolean;
  /** How often the expression has failed. */
  readonly errors: number;
}

/**
 * Compiles a CEL expression over `event`, as a subscription's filter sees it, and `letter`: `reason`,
 * `status` (null when there was none), `attempts`, `error`, `first_time`, `last_time`, `topic`, `partition`,
 * `offset`, `redrives`. Throws an Error whose message says what is wrong.
 */
export function compileLetterFilter(text: string): LetterFilter {
  let current: StoredLetter;
  const filter = compileFilter(text, { letter: () => seenLetter(current) });
  return {
    match(letter) {
      current = letter;
      return filter.match(eventOf(letter));
    },
    get errors() {
      return filter.errors;
    },
  };
}

function seenLetter({ reason, status, attempts, error, firstTime, lastTime, origin, lineage }: StoredLetter) {
  const { topic, partition, offset } = origin;
  const times = { first_time: firstTime, last_time: lastTime };
  return { reason, status, attempts, error, ...times, topic, partition, offset, redrives: lineage.length };
}
