import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import type { Appender, AppendVerdict, LogRecord } from '../../ports/event-log.ts';
import type { GroupFact } from '../../ports/report.ts';
import { Backlog, type Stored } from './backlog.ts';
import { type Item, settle } from './item.ts';
import type { Recent } from './recent.ts';

export interface CommitOptions {
  log: Appender;
  dedupe: DedupeStore;
  /** What this process has stored, whatever the topic. */
  recent: Recent;
  outage: 'accept' | 'refuse';
  /** Milliseconds that a claim lives; it is renewed while an append takes longer. */
  lease: number;
  /** A record for the rejected topic instead of one that the log finds too large. */
  tooLarge(record: LogRecord): LogRecord;
}

/** Claim, append, confirm; release on failure: the steps of one group (its items differ in id). */
export class Committer {
  readonly #options: CommitOptions;
  /** What the last group stored, to be confirmed in the round trip of the next claim. */
  #last: Stored | null = null;
  readonly #backlog: Backlog;

  constructor(options: CommitOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.dedupe);
  }

  /** Settles every item. The claims of what was stored are confirmed with the next group, or by `confirm`. */
  async commit(items: Item[], owner: string, facts: GroupFact): Promise<void> {
    const stored: Claim[] = [];
    const kept = await this.#claim(items, owner, facts, stored);
    await this.#append(kept, owner, facts, stored);
    if (stored.length > 0) this.#last = { claims: stored, owner };
  }

  /** Confirms what is stored, as far as the store answers. Does not reject. */
  async confirm(): Promise<void> {
    await this.#confirmLast();
  }

  /** Confirms what could not be confirmed before, too, once and for all. Does not reject. */
  async finish(): Promise<void> {
    await this.#confirmLast();
    await this.#backlog.settle();
  }

  async #confirmLast(): Promise<void> {
    const last = this.#last;
    if (last === null) return;
    this.#last = null;
    try {
      await this.#options.dedupe.confirm(last.claims, last.owner);
    } catch {
      this.#backlog.add(last);
    }
  }

  /**
   * Claims the ids and confirms the group before in the same round trip. Returns the items to append; adds to
   * `stored` the claims of those that turn out to be stored already though the store did not know.
   */
  async #claim(items: Item[], owner: string, facts: GroupFact, stored: Claim[]): Promise<Item[]> {
    const claims = claimsOf(items);
    if (claims.length === 0) return items;
    const started = performance.now();
    let outcomes: readonly (ClaimOutcome | null)[];
    try {
      const confirmed = this.#confirmLast();
      [outcomes] = await Promise.all([this.#options.dedupe.claim(claims, owner), confirmed]);
    } catch (error) {
      facts.error = (error as Error).message;
      outcomes = (error instanceof StoreUnavailable && error.outcomes) || claims.map(() => null);
    } finally {
      facts.claimMs = performance.now() - started;
    }
    // While the store has not been told of everything, what it says is new may be stored.
    const believed = this.#backlog.isEmpty;
    if (believed && outcomes.every((outcome) => outcome === 'claimed')) return items;
    const kept: Item[] = [];
    let next = 0;
    for (const item of items) {
      const outcome = item.claim === null ? 'claimed' : outcomes[next++]!;
      if (outcome === 'duplicate' || outcome === 'changed') {
        item.changed = outcome === 'changed';
        settle(item, 'duplicate', null);
      } else if (item.claim !== null && !(believed && outcome !== null) && this.#isRecent(item)) {
        if (outcome === 'claimed') stored.push(item.claim);
      } else if (outcome === 'claimed' || this.#isLetIn(item, outcome, facts)) kept.push(item);
    }
    return kept;
  }

  /** Settles an item whose id this process has stored of late; else returns false. */
  #isRecent(item: Item): boolean {
    const print = this.#options.recent.find(item.claim!.key);
    if (print === undefined) return false;
    item.changed = print !== item.claim!.print;
    settle(item, 'duplicate', null);
    return true;
  }

  /** Whether an item is appended that the store has not let us have; else it is settled. */
  #isLetIn(item: Item, outcome: 'pending' | null, facts: GroupFact): boolean {
    if (outcome === 'pending') settle(item, 'retry', 'id_in_flight');
    else if (this.#options.outage === 'refuse') settle(item, 'retry', 'dedupe_unavailable');
    else {
      item.record.headers.ce_dedupe = 'unchecked';
      facts.unchecked++;
      return true;
    }
    return false;
  }

  /** Appends, settles, releases the claims of what was not stored; adds the claims of what was to `stored`. */
  async #append(items: Item[], owner: string, facts: GroupFact, stored: Claim[]): Promise<void> {
    // Who has been told `retry` while the claim took too long gets no record behind their back.
    const live: Item[] = [];
    const failed: Claim[] = [];
    for (const item of items) {
      if (item.verdict === null) live.push(item);
      else if (item.claim !== null) failed.push(item.claim);
    }
    if (live.length > 0) {
      const started = performance.now();
      const verdicts = await this.#appendRenewing(live, owner, facts);
      facts.appendMs = performance.now() - started;
      for (let i = 0; i < live.length; i++) {
        const item = live[i]!;
        const isStored = verdicts[i] === 'stored';
        if (item.claim !== null) (isStored ? stored : failed).push(item.claim);
        if (isStored) facts.bytes += item.record.value?.length ?? 0;
        if (isStored) settle(item, item.wanted, null);
        else if (verdicts[i] === 'too_large') settle(item, 'rejected', 'event_too_large');
        else settle(item, 'retry', 'log_unavailable');
      }
    }
    this.#options.recent.add(stored);
    // A lost release costs the client one lease: the claim ends by itself.
    if (failed.length > 0) await this.#options.dedupe.release(failed, owner).catch(() => {});
  }

  /** Appends while keeping the claims alive. What throws is not known to be stored. */
  async #appendRenewing(items: Item[], owner: string, facts: GroupFact): Promise<AppendVerdict[]> {
    const { dedupe, lease, log } = this.#options;
    const renew = setInterval(() => void dedupe.claim(claimsOf(items), owner).catch(() => {}), lease / 3);
    try {
      const verdicts = await log.append(items.map((item) => item.record));
      await this.#appendRefused(items, verdicts);
      return verdicts;
    } catch (error) {
      facts.error = (error as Error).message;
      return items.map(() => 'failed');
    } finally {
      clearInterval(renew);
    }
  }

  /** What the log finds too large goes to the rejected topic without its payload; failing that, it is `failed`. */
  async #appendRefused(items: Item[], verdicts: AppendVerdict[]): Promise<void> {
    if (!verdicts.includes('too_large')) return;
    const large = items.flatMap((_, i) => (verdicts[i] === 'too_large' ? [i] : []));
    const kept = await this.#options.log.append(large.map((i) => this.#options.tooLarge(items[i]!.record)));
    large.forEach((i, n) => {
      if (kept[n] !== 'stored') verdicts[i] = 'failed';
    });
  }
}

function claimsOf(items: Item[]): Claim[] {
  const claims: Claim[] = [];
  for (const { claim } of items) if (claim !== null) claims.push(claim);
  return claims;
}
