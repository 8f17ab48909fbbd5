import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { Queue } from '../consume/queue.ts';
import { type Claim, type ClaimOutcome, type DedupeStore, StoreUnavailable } from '../ports/dedupe-store.ts';
import type { Report } from '../ports/report.ts';
import type { Delivery } from './call.ts';
import { reportDelivery } from './facts.ts';
import { identityOf } from './identity.ts';

export interface RememberedOptions {
  /** Each group remembers its own deliveries, so that a replay, which has a group of its own, delivers everything. */
  subscription: Pick<SubscriptionConfig, 'name' | 'group'>;
  store: DedupeStore;
  report: Report;
  /** The event is to be delivered. */
  pass(delivery: Delivery): void;
  /** The event is concluded. */
  settled(delivery: Delivery): void;
  /** Something was passed or settled. */
  changed(): void;
}

/** Ids in one call of the store. */
const MAX_CLAIMS = 500;
/** The same for all processes: a claim keeps no process out, and the claim of a dead process is renewed by the next. */
const OWNER = 'dispatcher';

/**
 * Keeps events from a function that has had them. Before its call, an event that the store remembers is settled without
 * a call. After its call, an event is remembered before its offset may be committed. Order is kept. A store that does
 * not answer delays an event only by the store's own time limit: then it is delivered, or its offset committed, anyway.
 *
 * A process that dies between the function's answer and the store's answer still causes a second call.
 */
export class Remembered {
  readonly #options: RememberedOptions;
  readonly #arrived = new Queue<Delivery>();
  readonly #delivered = new Queue<Delivery>();
  /** Events that the store is asked about now. */
  #claiming: Delivery[] = [];
  #confirming: Delivery[] = [];
  #isClaiming = false;
  #isConfirming = false;
  /** Identities between claim and settlement. Not a map of deliveries: its old tables would keep them alive. */
  readonly #inWork = new Set<string>();
  /** Copies of an event that is in work wait until it is concluded. They are rare. */
  readonly #copies = new Map<string, Delivery[]>();
  #closing = false;
  #stopped = false;

  constructor(options: RememberedOptions) {
    this.#options = options;
  }

  /** No delivered event waits for the store. */
  get isIdle(): boolean {
    return this.#delivered.length === 0 && this.#confirming.length === 0;
  }

  /** The events that are held only here. */
  *deliveries(): Generator<Delivery> {
    yield* this.#arrived;
    yield* this.#claiming;
    for (const copies of this.#copies.values()) yield* copies;
    yield* this.#delivered;
    yield* this.#confirming;
  }

  /** Takes an event that was just read. */
  push(delivery: Delivery): void {
    delivery.identity = identityOf(delivery.record, this.#options.subscription.group);
    this.#arrived.push(delivery);
    if (!this.#isClaiming) void this.#claimArrived();
  }

  /** An event is concluded: delivered, or stored as a dead letter. */
  concluded(delivery: Delivery, isDelivered: boolean): void {
    if (isDelivered) {
      this.#delivered.push(delivery);
      if (!this.#isConfirming) void this.#confirmDelivered();
      return;
    }
    this.#options.settled(delivery);
    const next = this.#nextCopy(delivery.identity);
    if (next === undefined) this.#inWork.delete(delivery.identity);
    else if (!this.#closing) this.#options.pass(next);
  }

  /** Passes on no more events. */
  close(): void {
    this.#closing = true;
    this.#arrived.clear();
    this.#copies.clear();
  }

  /** Settles no more events either: the partitions are lost. Delivered events are remembered anyway. */
  stop(): void {
    this.close();
    this.#stopped = true;
  }

  async #claimArrived(): Promise<void> {
    this.#isClaiming = true;
    // Events that were read together share a call.
    await null;
    while (this.#arrived.length > 0) {
      this.#takeNew();
      const outcomes = await this.#claim(this.#claiming);
      if (this.#closing) break;
      const asked = this.#claiming;
      this.#claiming = [];
      let before = 0;
      for (const [i, delivery] of asked.entries()) {
        if (outcomes[i] === 'duplicate') before += this.#settle(delivery, 1);
        else this.#options.pass(delivery);
      }
      this.#reportBefore(before);
      this.#options.changed();
    }
    this.#claiming = [];
    this.#isClaiming = false;
  }

  /** Takes only the first of several events with the same identity: one call must not claim it twice. */
  #takeNew(): void {
    while (this.#claiming.length < MAX_CLAIMS && this.#arrived.length > 0) {
      const delivery = this.#arrived.shift()!;
      const { identity } = delivery;
      if (this.#inWork.has(identity)) {
        const copies = this.#copies.get(identity);
        if (copies === undefined) this.#copies.set(identity, [delivery]);
        else copies.push(delivery);
      } else {
        this.#inWork.add(identity);
        this.#claiming.push(delivery);
      }
    }
  }

  async #claim(deliveries: readonly Delivery[]): Promise<readonly (ClaimOutcome | null)[]> {
    if (deliveries.length === 0) return [];
    try {
      return await this.#options.store.claim(deliveries.map(claimOf), OWNER);
    } catch (error) {
      const known = (error instanceof StoreUnavailable && error.outcomes) || [];
      const unknown = deliveries.filter((_, i) => (known[i] ?? null) === null).length;
      this.#reportUnknown('unchecked', unknown);
      return known;
    }
  }

  async #confirmDelivered(): Promise<void> {
    this.#isConfirming = true;
    await null;
    while (this.#delivered.length > 0) {
      while (this.#confirming.length < MAX_CLAIMS && this.#delivered.length > 0)
        this.#confirming.push(this.#delivered.shift()!);
      await this.#confirm(this.#confirming);
      const confirmed = this.#confirming;
      this.#confirming = [];
      if (this.#stopped) continue;
      let before = 0;
      for (const delivery of confirmed) before += this.#settle(delivery, 0);
      this.#reportBefore(before);
      this.#options.changed();
    }
    this.#isConfirming = false;
  }

  async #confirm(deliveries: readonly Delivery[]): Promise<void> {
    try {
      await this.#options.store.confirm(deliveries.map(claimOf), OWNER);
    } catch {
      this.#reportUnknown('not_remembered', deliveries.length);
    }
  }

  /** Settles an event that the function has had, and its copies. Returns how many needed no call, with `own` for itself. */
  #settle(delivery: Delivery, own: number): number {
    this.#inWork.delete(delivery.identity);
    this.#options.settled(delivery);
    const copies = this.#copies.get(delivery.identity);
    if (copies === undefined) return own;
    this.#copies.delete(delivery.identity);
    for (const copy of copies) this.#options.settled(copy);
    return own + copies.length;
  }

  #nextCopy(identity: string): Delivery | undefined {
    const copies = this.#copies.get(identity);
    const next = copies?.shift();
    if (copies?.length === 0) this.#copies.delete(identity);
    return next;
  }

  #reportBefore(events: number): void {
    reportDelivery(this.#options, 'filtered', events, null, 'delivered_before');
  }

  #reportUnknown(outcome: 'unchecked' | 'not_remembered', events: number): void {
    const { report, subscription } = this.#options;
    if (events > 0) report({ kind: 'unremembered', subscription: subscription.name, outcome, events });
  }
}

function claimOf({ identity }: Delivery): Claim {
  return { key: identity, checksum: 0 };
}
