import type { GroupFact, Report } from '../../ports/report.ts';
import { type CommitOptions, Committer } from './commit.ts';
import { firstOfEach, type Item, isLate, settle, whenSettled } from './item.ts';

export interface GroupOptions extends CommitOptions {
  topic: string;
  report: Report;
  /** Milliseconds that a request waits to be stored. */
  timeout: number;
}

const MAX_EVENTS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
/** A group of this many events is a sign of load. */
const BUSY_EVENTS = 8;
/** Milliseconds that the next group gathers under load: in a larger group each event costs less. */
const GATHER_MS = 3;
/** A group with this many events stops gathering. */
const ENOUGH_EVENTS = 200;

/**
 * The commit groups of one topic: many requests share one claim, one append and one confirm. One group is in flight;
 * events that arrive meanwhile make the next one. A group stays in flight until its append is done, even when its
 * requests have got `retry` before: only then is it known which claims to confirm and which to release.
 */
export class CommitGroups {
  readonly #options: GroupOptions;
  readonly #committer: Committer;
  /** No two groups of any process share an owner. */
  readonly #owner = crypto.randomUUID().slice(0, 13);
  #groups = 0;
  #open: Item[] = [];
  #flight: Item[] = [];
  #running = false;
  #idle: (() => void)[] = [];
  #enough = () => {};

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#committer = new Committer(options);
  }

  /** Resolves when every item has its verdict. */
  submit(items: Item[]): Promise<void> {
    const settled = whenSettled(items, performance.now() + this.#options.timeout);
    for (const item of items) this.#open.push(item);
    if (this.#open.length >= ENOUGH_EVENTS) this.#enough();
    this.#start();
    return settled;
  }

  /** Resolves when no item is open or in flight, and all ids are confirmed as far as the store answers. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#start();
    });
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const watch = setInterval(() => this.#expire(), Math.max(10, this.#options.timeout / 8));
    while (this.#open.length > 0) {
      this.#flight = this.#take();
      await this.#commit(this.#flight);
      const busy = this.#flight.length >= BUSY_EVENTS;
      this.#flight = [];
      await this.#gather(busy);
    }
    clearInterval(watch);
    this.#running = false;
    // The next group may claim before this confirmation returns: the store keeps the order of calls.
    await this.#committer.confirm();
    if (this.#running || this.#idle.length === 0) return;
    await this.#committer.finish();
    if (!this.#running) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Waits before the next group closes, so that clients that just got a verdict can send into it. */
  #gather(busy: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (!busy || this.#open.length >= ENOUGH_EVENTS) {
        setImmediate(resolve);
        return;
      }
      const timer = setTimeout(resolve, GATHER_MS);
      this.#enough = () => {
        clearTimeout(timer);
        resolve();
      };
    });
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
    const facts = emptyFacts(this.#options.topic, items.length);
    const copies = new Map<Item, Item[]>();
    const firsts = firstOfEach(items, copies);
    try {
      await this.#committer.commit(firsts, `${this.#owner}${(this.#groups++).toString(36)}`, facts);
    } catch (error) {
      // A bug must not leave requests waiting. Items that may not be stored get `retry`.
      facts.error = (error as Error).message;
      for (const item of firsts) settle(item, 'retry', 'internal');
    }
    for (const [first, others] of copies) {
      const verdict = first.verdict === 'accepted' ? 'duplicate' : first.verdict!;
      for (const item of others) {
        // When the stored payload differs from the first item's, it also differs from that of a copy.
        const changed = first.changed || item.claim!.checksum !== first.claim!.checksum;
        settle(item, verdict, first.code, changed);
      }
    }
    for (const item of items) {
      facts[item.verdict!]++;
      if (item.changed) facts.changed++;
    }
    this.#options.report(facts);
  }

  /** Settles late items with `retry`. Open ones leave the group; those in flight may still be stored. */
  #expire(): void {
    const now = performance.now();
    for (const item of [...this.#open, ...this.#flight])
      if (isLate(item, now)) settle(item, 'retry', 'log_unavailable');
    this.#open = this.#open.filter(({ verdict }) => verdict === null);
  }
}

function emptyFacts(topic: string, events: number): GroupFact {
  return {
    kind: 'group',
    topic,
    events,
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
}
