import type { ErrorCode } from '../../core/errors.ts';
import type { Verdict } from '../../core/event.ts';
import type { Claim } from '../../ports/dedupe-store.ts';
import type { LogRecord } from '../../ports/event-log.ts';

/** One record on its way into the log, and its outcome, which `settle` alone writes. */
export interface Item {
  record: LogRecord;
  /** Null for records that are not deduplicated, such as rejected events. */
  claim: Claim | null;
  /** Its verdict if the record is stored. */
  wanted: 'accepted' | 'rejected';
  /** Null until it is settled. */
  readonly verdict: Verdict | null;
  /** The reason of `retry`, or of `rejected` by the log. */
  readonly code: ErrorCode | null;
  /** True for a duplicate whose payload differs from the stored one. */
  readonly changed: boolean;
  readonly submission: Submission | null;
}

/** A request that waits for the verdicts of some items. */
interface Submission {
  /** Items that are not settled yet. */
  left: number;
  /** Milliseconds (performance.now) after which its items get `retry`. */
  deadline: number;
  resolve(): void;
}

type Unsettled = { -readonly [Key in keyof Item]: Item[Key] };

export function makeItem(record: LogRecord, claim: Claim | null, wanted: Item['wanted']): Item {
  return { record, claim, wanted, verdict: null, code: null, changed: false, submission: null };
}

/** Resolves when every item is settled. `deadline`: milliseconds of performance.now. */
export function whenSettled(items: Item[], deadline: number): Promise<void> {
  return new Promise((resolve) => {
    const submission = { left: items.length, deadline, resolve };
    for (const item of items as Unsettled[]) item.submission = submission;
  });
}

/** Whether the request of an item has waited too long. */
export function isLate({ submission }: Item, now: number): boolean {
  return submission !== null && submission.deadline <= now;
}

/** Writes the outcome of an item, once. Later outcomes are ignored. */
export function settle(item: Unsettled, verdict: Verdict, code: ErrorCode | null, changed = false): void {
  if (item.verdict !== null) return;
  item.verdict = verdict;
  item.code = code;
  item.changed = changed;
  const { submission } = item;
  item.submission = null;
  if (submission !== null && --submission.left === 0) submission.resolve();
}

/** The first item of each id. The others are added to `copies`, under their first item. */
export function firstOfEach(items: Item[], copies: Map<Item, Item[]>): Item[] {
  const seen = new Map<string, Item>();
  const firsts: Item[] = [];
  for (const item of items) {
    const first = item.claim === null ? undefined : seen.get(item.claim.key);
    if (first === undefined) {
      if (item.claim !== null) seen.set(item.claim.key, item);
      firsts.push(item);
    } else {
      const others = copies.get(first);
      if (others === undefined) copies.set(first, [item]);
      else others.push(item);
    }
  }
  return firsts;
}
