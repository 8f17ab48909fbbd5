import type { ErrorCode } from '../../core/errors.ts';
import type { Verdict } from '../../core/event.ts';
import type { Claim } from '../../ports/dedupe-store.ts';
import type { LogRecord } from '../../ports/event-log.ts';

/** One record on its way into the log, and what became of it. */
export interface Item {
  record: LogRecord;
  /** Null for records that are not deduplicated, such as rejected events. */
  claim: Claim | null;
  /** The verdict once it is stored. */
  wanted: 'accepted' | 'rejected';
  /** Null until it is known. */
  verdict: Verdict | null;
  /** Why it is `retry` or `rejected` by the log. */
  code: ErrorCode | null;
  /** A duplicate whose payload differs from the one stored. */
  changed: boolean;
  submission: Submission | null;
}

/** Who waits for the verdicts of some items. */
interface Submission {
  left: number;
  /** Milliseconds (performance.now) after which whoever waits is told `retry`. */
  deadline: number;
  resolve(): void;
}

export function makeItem(record: LogRecord, claim: Claim | null, wanted: Item['wanted']): Item {
  return { record, claim, wanted, verdict: null, code: null, changed: false, submission: null };
}

/** Gives an item its verdict, once; later ones are ignored. */
export function settle(item: Item, verdict: Verdict, code: ErrorCode | null): void {
  if (item.verdict !== null) return;
  item.verdict = verdict;
  item.code = code;
  const { submission } = item;
  item.submission = null;
  if (submission !== null && --submission.left === 0) submission.resolve();
}

/** The first item of each id; the others go into `copies` under it. */
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
