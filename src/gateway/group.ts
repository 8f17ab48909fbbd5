import type { ErrorCode } from '../errors.ts';
import type { Verdict } from '../event.ts';
import type { Claim, ClaimOutcome, DedupeStore } from '../ports/dedupe-store.ts';
import type { Appender, AppendVerdict, LogRecord } from '../ports/event-log.ts';
import type { GroupFacts, Report } from '../ports/report.ts';

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

interface Submission {
  left: number;
  /** Milliseconds (performance.now) after which whoever waits is told `retry`. */
  deadline: number;
  resolve(): void;
}

export interface GroupOptions {
  topic: string;
  log: Appender;
  dedupe: DedupeStore;
  report: Report;
  outage: 'accept' | 'refuse';
  /** Milliseconds that a request waits to be stored. */
  timeout: number;
  /** Milliseconds that a claim lives; it is renewed while an append takes longer. */
  lease: number;
  /** A record for the rejected topic instead of one that the log finds too large. */
  tooLarge(record: LogRecord): LogRecord;
}

const MAX_EVENTS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
/** Ids stored but not confirmed because the store is down: enough for a short outage, then the oldest go. */
const MAX_UNCONFIRMED = 20_000;

let groups = 0;

/**
 * The commit group of one topic: many requests share one claim, one append and one confirm. One group is in
 * flight; the next is whatever gathers meanwhile. A group stays in flight until its append is settled, also
 * when those who wait for it have been told `retry`: only then is it known what to do with its claims.
 */
export class CommitGroups {
  readonly #options: GroupOptions;
  readonly #owner = crypto.randomUUID().slice(0, 13);
  #open: Item[] = [];
  #flight: Item[] = [];
  #unconfirmed: { claims: Claim[]; owner: string }[] = [];
  #running = false;
  #idle: (() => void)[] = [];

  constructor(options: GroupOptions) {
    this.#options = options;
  }

  /** Resolves when every item has its verdict. */
  submit(items: Item[]): Promise<void> {
    return new Promise((resolve) => {
      const submission = { left: items.length, deadline: performance.now() + this.#options.timeout, resolve };
      for (const item of items) {
        item.submission = submission;
        this.#open.push(item);
      }
      if (!this.#running) {
        this.#running = true;
        setImmediate(() => this.#run());
      }
    });
  }

  /** Resolves when nothing is open or in flight and all ids are confirmed (as far as the store answers). */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      if (!this.#running) {
        this.#running = true;
        void this.#run();
      }
    });
  }

  async #run(): Promise<void> {
    const watch = setInterval(() => this.#expire(), Math.max(10, this.#options.timeout / 8));
    try {
      while (this.#open.length > 0) {
        this.#flight = this.#take();
        await this.#commit(this.#flight);
        this.#flight = [];
        // Whoever got a verdict may send again at once: let those requests in before the group closes.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      clearInterval(watch);
      this.#running = false;
    }
    // The next group need not wait for this one's confirmation: the store keeps the order of calls.
    await this.#confirm();
    if (!this.#running) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): Item[] {
    let bytes = 0;
    let count = 0;
    for (; count < this.#open.length && count < MAX_EVENTS; count++) {
      bytes += this.#open[count]!.record.value?.length ?? 0;
      if (bytes > MAX_BYTES && count > 0) break;
    }
    return this.#open.splice(0, count);
  }

  async #commit(items: Item[]): Promise<void> {
    const options = this.#options;
    const facts: GroupFacts = {
      topic: options.topic,
      events: items.length,
      accepted: 0,
      duplicate: 0,
      changed: 0,
      rejected: 0,
      retry: 0,
      unchecked: 0,
      bytes: 0,
      claimMs: null,
      appendMs: null,
      error: null,
    };
    const owner = `${this.#owner}${(groups++).toString(36)}`;
    const copies = new Map<Item, Item[]>();
    const firsts = firstOfEach(items, copies);
    let kept = firsts;
    try {
      kept = await this.#claim(firsts, owner, facts);
      const stored = await this.#append(kept, owner, facts);
      if (stored.length > 0) this.#remember(stored, owner);
    } catch (error) {
      // A fault of ours must not leave anybody waiting; what is not known to be stored is `retry`.
      facts.error = (error as Error).message;
      for (const item of kept) this.#settle(item, 'retry', 'internal');
    }
    for (const [first, others] of copies) {
      const verdict = first.verdict === 'accepted' ? 'duplicate' : first.verdict!;
      for (const item of others) {
        item.changed = item.claim!.print !== first.claim!.print;
        this.#settle(item, verdict, first.code);
      }
    }
    for (const item of items) {
      facts[item.verdict!]++;
      if (item.changed) facts.changed++;
    }
    options.report.group(facts);
  }

  /** Claims the ids of the group; returns the items to append. Also confirms the group before, in the same round trip. */
  async #claim(items: Item[], owner: string, facts: GroupFacts): Promise<Item[]> {
    const claimed = items.filter((item) => item.claim !== null);
    if (claimed.length === 0) return items;
    const claims = claimed.map((item) => item.claim!);
    const started = performance.now();
    let outcomes: ClaimOutcome[];
    try {
      const confirmed = this.#confirm();
      [outcomes] = await Promise.all([this.#options.dedupe.claim(claims, owner), confirmed]);
    } catch (error) {
      facts.claimMs = performance.now() - started;
      facts.error = (error as Error).message;
      return this.#withoutStore(items, facts);
    }
    facts.claimMs = performance.now() - started;
    if (outcomes.every((outcome) => outcome === 'claimed')) return items;
    const kept = items.filter((item) => item.claim === null);
    for (let i = 0; i < claimed.length; i++) {
      const item = claimed[i]!;
      const outcome = outcomes[i]!;
      if (outcome === 'claimed') kept.push(item);
      else if (outcome === 'pending') this.#settle(item, 'retry', 'id_in_flight');
      else {
        item.changed = outcome === 'changed';
        this.#settle(item, 'duplicate', null);
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
    const kept = [];
    for (const item of items) {
      if (item.claim === null) kept.push(item);
      else this.#settle(item, 'retry', 'dedupe_unavailable');
    }
    return kept;
  }

  /** Appends, settles, releases the claims of what was not stored; returns the claims of what was. */
  async #append(items: Item[], owner: string, facts: GroupFacts): Promise<Claim[]> {
    // Who has been told `retry` while the claim took too long gets no record behind their back.
    const live = items.filter((item) => item.verdict === null);
    const failed = items
      .filter((item) => item.verdict !== null && item.claim !== null)
      .map((item) => item.claim!);
    const stored: Claim[] = [];
    if (live.length > 0) {
      const claims = live.flatMap((item) => (item.claim === null ? [] : [item.claim]));
      const renew = setInterval(
        () => void this.#options.dedupe.claim(claims, owner).catch(() => {}),
        this.#options.lease / 3,
      );
      const started = performance.now();
      let verdicts: AppendVerdict[];
      try {
        verdicts = await this.#options.log.append(live.map((item) => item.record));
        await this.#appendRefused(live, verdicts);
      } catch (error) {
        // Anything unexpected means: not known to be stored.
        facts.error = (error as Error).message;
        verdicts = live.map(() => 'failed');
      } finally {
        clearInterval(renew);
      }
      facts.appendMs = performance.now() - started;
      for (let i = 0; i < live.length; i++) {
        const item = live[i]!;
        const verdict = verdicts[i]!;
        if (verdict === 'stored') {
          if (item.claim !== null) stored.push(item.claim);
          facts.bytes += item.record.value?.length ?? 0;
          this.#settle(item, item.wanted, null);
        } else {
          if (item.claim !== null) failed.push(item.claim);
          this.#settle(
            item,
            verdict === 'too_large' ? 'rejected' : 'retry',
            verdict === 'too_large' ? 'event_too_large' : 'log_unavailable',
          );
        }
      }
    }
    // A lost release costs the client one lease: the claim ends by itself.
    if (failed.length > 0) await this.#options.dedupe.release(failed, owner).catch(() => {});
    return stored;
  }

  /** What the log finds too large goes to the rejected topic without its payload; failing that, it is `failed`. */
  async #appendRefused(items: Item[], verdicts: AppendVerdict[]): Promise<void> {
    const large = items.flatMap((_, i) => (verdicts[i] === 'too_large' ? [i] : []));
    if (large.length === 0) return;
    const kept = await this.#options.log.append(large.map((i) => this.#options.tooLarge(items[i]!.record)));
    large.forEach((i, n) => {
      if (kept[n] !== 'stored') verdicts[i] = 'failed';
    });
  }

  #remember(claims: Claim[], owner: string): void {
    this.#unconfirmed.push({ claims, owner });
    let count = 0;
    for (const group of this.#unconfirmed) count += group.claims.length;
    while (count > MAX_UNCONFIRMED) count -= this.#unconfirmed.shift()!.claims.length;
  }

  async #confirm(): Promise<void> {
    const groups = this.#unconfirmed;
    this.#unconfirmed = [];
    await Promise.all(
      groups.map(({ claims, owner }) =>
        this.#options.dedupe.confirm(claims, owner).catch(() => this.#remember(claims, owner)),
      ),
    );
  }

  #settle(item: Item, verdict: Verdict, code: ErrorCode | null): void {
    if (item.verdict !== null) return;
    item.verdict = verdict;
    item.code = code;
    const submission = item.submission!;
    item.submission = null;
    if (--submission.left === 0) submission.resolve();
  }

  /** Tells `retry` to those who have waited too long. Open items leave the group; those in flight are settled later. */
  #expire(): void {
    const now = performance.now();
    const late = (item: Item) => item.submission !== null && item.submission.deadline <= now;
    if (this.#open.some(late)) {
      const open = this.#open;
      this.#open = open.filter((item) => !late(item));
      for (const item of open) if (late(item)) this.#settle(item, 'retry', 'log_unavailable');
    }
    for (const item of this.#flight) if (late(item)) this.#settle(item, 'retry', 'log_unavailable');
  }
}

/** The first item of each id, and the copies of each. */
function firstOfEach(items: Item[], copies: Map<Item, Item[]>): Item[] {
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
