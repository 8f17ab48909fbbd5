import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import { type Appender, type AppendVerdict, type LogRecord, markUnchecked } from '../../ports/event-log.ts';
import type { GroupFact } from '../../ports/report.ts';
import { Backlog, type Stored } from './backlog.ts';
import { type Item, settle } from './item.ts';
import type { RecentIds } from './recent-ids.ts';

export interface CommitOptions {
  log: Appender;
  dedupe: DedupeStore;
  /** Ids that this process has stored, of all topics. */
  recent: RecentIds;
  outage: 'accept' | 'refuse';
  /** Milliseconds that a claim lives. It is renewed while an append takes longer. */
  lease: number;
  /** Makes the record for the rejected topic from a record that is too large for the log. */
  tooLarge(record: LogRecord): LogRecord;
}

/** The steps of one group: claim, append, confirm; release on failure. */
export class Committer {
  readonly #options: CommitOptions;
  /** Ids that the last group stored. They are confirmed in the round trip of the next claim. */
  #last: Stored | null = null;
  readonly #backlog: Backlog;

  constructor(options: CommitOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.dedupe);
  }

  /** Settles every item; items differ in id. Stored ids are confirmed with the next group, or by `confirm`. */
  async commit(items: Item[], owner: string, facts: GroupFact): Promise<void> {
    const stored: Claim[] = [];
    const kept = await this.#claim(items, owner, facts, stored);
    await this.#append(kept, owner, facts, stored);
    if (stored.length > 0) this.#last = { claims: stored, owner };
  }

  /** Confirms the ids of the last group. When the store does not answer, they go to the backlog. Does not reject. */
  async confirm(): Promise<void> {
    const last = this.#last;
    if (last === null) return;
    this.#last = null;
    try {
      await this.#options.dedupe.confirm(last.claims, last.owner);
    } catch {
      this.#backlog.add(last);
    }
  }

  /** Confirms the last group and the backlog, with one attempt. Does not reject. */
  async finish(): Promise<void> {
    await this.confirm();
    await this.#backlog.finish();
  }

  /**
   * Claims the ids, and confirms the last group in the same round trip. Returns the items to append. Adds to `stored`
   * the claims of items that this process stored before, but that the store did not know.
   */
  async #claim(items: Item[], owner: string, facts: GroupFact, stored: Claim[]): Promise<Item[]> {
    const claims = claimsOf(items);
    if (claims.length === 0) return items;
    const started = performance.now();
    let outcomes: readonly (ClaimOutcome | null)[];
    try {
      const confirmed = this.confirm();
      [outcomes] = await Promise.all([this.#options.dedupe.claim(claims, owner), confirmed]);
    } catch (error) {
      facts.error = (error as Error).message;
      outcomes = (error instanceof StoreUnavailable && error.outcomes) || claims.map(() => null);
    } finally {
      facts.claimMs = performance.now() - started;
    }
    // While the backlog holds ids that the store does not know, an id that is new to the store may be stored.
    const believed = this.#backlog.isEmpty;
    if (believed && outcomes.every((outcome) => outcome === 'claimed')) return items;
    const kept: Item[] = [];
    let next = 0;
    for (const item of items) {
      const outcome = item.claim === null ? 'claimed' : outcomes[next++]!;
      if (outcome === 'duplicate' || outcome === 'changed') {
        settle(item, 'duplicate', null, outcome === 'changed');
      } else if (item.claim !== null && !(believed && outcome !== null) && this.#settleRecent(item)) {
        if (outcome === 'claimed') stored.push(item.claim);
      } else if (outcome === 'claimed' || this.#mayAppendUnchecked(item, outcome, facts)) kept.push(item);
    }
    return kept;
  }

  /** Settles an item as a duplicate when this process stored its id lately; else returns false. */
  #settleRecent(item: Item): boolean {
    const checksum = this.#options.recent.find(item.claim!.key);
    if (checksum === undefined) return false;
    settle(item, 'duplicate', null, checksum !== item.claim!.checksum);
    return true;
  }

  /** May we append an item whose claim failed? Marks the record if so, and settles the item if not. */
  #mayAppendUnchecked(item: Item, outcome: 'pending' | null, facts: GroupFact): boolean {
    if (outcome === 'pending') settle(item, 'retry', 'id_in_flight');
    else if (this.#options.outage === 'refuse') settle(item, 'retry', 'dedupe_unavailable');
    else {
      markUnchecked(item.record);
      facts.unchecked++;
      return true;
    }
    return false;
  }

  /** Appends and settles items. Adds the claims of stored items to `stored`, and releases the claims of the others. */
  async #append(items: Item[], owner: string, facts: GroupFact, stored: Claim[]): Promise<void> {
    // An item that got `retry` while the claim took too long is not stored after all.
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
    // A claim ends by itself, so a release that is lost costs the client one lease.
    if (failed.length > 0) await this.#options.dedupe.release(failed, owner).catch(() => {});
  }

  /** Appends, and renews the claims meanwhile. All is `failed` when the log throws: nothing is known then. */
  async #appendRenewing(items: Item[], owner: string, facts: GroupFact): Promise<AppendVerdict[]> {
    const { dedupe, lease, log } = this.#options;
    const renew = setInterval(() => void dedupe.claim(claimsOf(items), owner).catch(() => {}), lease / 3);
    try {
      const verdicts = await log.append(items.map((item) => item.record));
      await this.#keepTooLarge(items, verdicts);
      return verdicts;
    } catch (error) {
      facts.error = (error as Error).message;
      return items.map(() => 'failed');
    } finally {
      clearInterval(renew);
    }
  }

  /** Appends too large records to the rejected topic, without their payload. Where that fails, the verdict is `failed`. */
  async #keepTooLarge(items: Item[], verdicts: AppendVerdict[]): Promise<void> {
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
