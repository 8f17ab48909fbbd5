import type { Claim, ClaimOutcome, DedupeStore } from '../ports/dedupe-store.ts';
import type { Appender, AppendVerdict, LogRecord } from '../ports/event-log.ts';
import type { GroupFacts } from '../ports/report.ts';
import { type Item, settle } from './item.ts';

export interface CommitOptions {
  log: Appender;
  dedupe: DedupeStore;
  outage: 'accept' | 'refuse';
  /** Milliseconds that a claim lives; it is renewed while an append takes longer. */
  lease: number;
  /** A record for the rejected topic instead of one that the log finds too large. */
  tooLarge(record: LogRecord): LogRecord;
}

/** Ids stored but not confirmed because the store is down: enough for a short outage, then the oldest go. */
const MAX_UNCONFIRMED = 20_000;

/** Claim, append, confirm; release on failure: the steps of one group (its items differ in id). */
export class Committer {
  readonly #options: CommitOptions;
  #unconfirmed: { claims: Claim[]; owner: string }[] = [];

  constructor(options: CommitOptions) {
    this.#options = options;
  }

  /** Settles every item. The claims of what was stored are confirmed with the next group, or by `confirm`. */
  async commit(items: Item[], owner: string, facts: GroupFacts): Promise<void> {
    const kept = await this.#claim(items, owner, facts);
    const stored = await this.#append(kept, owner, facts);
    if (stored.length > 0) this.#remember(stored, owner);
  }

  /** Confirms what is stored; what the store does not take is kept for the next time. Does not reject. */
  async confirm(): Promise<void> {
    const groups = this.#unconfirmed;
    this.#unconfirmed = [];
    const { dedupe } = this.#options;
    await Promise.all(
      groups.map(({ claims, owner }) =>
        dedupe.confirm(claims, owner).catch(() => this.#remember(claims, owner)),
      ),
    );
  }

  #remember(claims: Claim[], owner: string): void {
    this.#unconfirmed.push({ claims, owner });
    let count = 0;
    for (const group of this.#unconfirmed) count += group.claims.length;
    while (count > MAX_UNCONFIRMED) count -= this.#unconfirmed.shift()!.claims.length;
  }

  /** Claims the ids and confirms the group before in the same round trip; returns the items to append. */
  async #claim(items: Item[], owner: string, facts: GroupFacts): Promise<Item[]> {
    const claims = claimsOf(items);
    if (claims.length === 0) return items;
    const started = performance.now();
    let outcomes: ClaimOutcome[];
    try {
      const confirmed = this.confirm();
      [outcomes] = await Promise.all([this.#options.dedupe.claim(claims, owner), confirmed]);
    } catch (error) {
      facts.error = (error as Error).message;
      return this.#withoutStore(items, facts);
    } finally {
      facts.claimMs = performance.now() - started;
    }
    if (outcomes.every((outcome) => outcome === 'claimed')) return items;
    const kept: Item[] = [];
    let next = 0;
    for (const item of items) {
      const outcome = item.claim === null ? 'claimed' : outcomes[next++]!;
      if (outcome === 'claimed') kept.push(item);
      else if (outcome === 'pending') settle(item, 'retry', 'id_in_flight');
      else {
        item.changed = outcome === 'changed';
        settle(item, 'duplicate', null);
      }
    }
    return kept;
  }

  #withoutStore(items: Item[], facts: GroupFacts): Item[] {
    if (this.#options.outage === 'accept') {
      for (const item of items) {
        if (item.claim === null) continue;
        item.record.headers.ce_dedupe = 'unchecked';
        facts.unchecked++;
      }
      return items;
    }
    for (const item of items) if (item.claim !== null) settle(item, 'retry', 'dedupe_unavailable');
    return items.filter((item) => item.claim === null);
  }

  /** Appends, settles, releases the claims of what was not stored; returns the claims of what was. */
  async #append(items: Item[], owner: string, facts: GroupFacts): Promise<Claim[]> {
    // Who has been told `retry` while the claim took too long gets no record behind their back.
    const live: Item[] = [];
    const failed: Claim[] = [];
    const stored: Claim[] = [];
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
    // A lost release costs the client one lease: the claim ends by itself.
    if (failed.length > 0) await this.#options.dedupe.release(failed, owner).catch(() => {});
    return stored;
  }

  /** Appends while keeping the claims alive. What throws is not known to be stored. */
  async #appendRenewing(items: Item[], owner: string, facts: GroupFacts): Promise<AppendVerdict[]> {
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
