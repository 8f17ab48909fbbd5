import type { TokenAsk, TokenGrant } from '../../ports/rate-store.ts';

/** Part of a second's tokens that a gateway takes from the store in advance. */
const ADVANCE = 0.1;
/** Least milliseconds until a store that had too few tokens is asked again. */
const MIN_WAIT_MS = 20;

/**
 * A token bucket as this gateway sees it: tokens that it may spend without asking the store, and its last news of the
 * others. Times are milliseconds of a monotonic clock.
 */
export class TokenBucket {
  readonly name: string;
  readonly unit: 'events' | 'bytes';
  /** Tokens a second, and the most that gather. */
  readonly rate: number;
  /** Its name in the store. */
  readonly key: string;
  /** Resolves when the store has answered a pending ask, or failed to. */
  asking: Promise<void> | null = null;
  #advance: number;
  /** Tokens to spend here; below 0: owed. */
  #balance = 0;
  /** Tokens that the store had at its last answer. */
  #left: number;
  /** Time of the last count. Before the first count the bucket is full. */
  #at = Number.NEGATIVE_INFINITY;
  #emptyUntil = Number.NEGATIVE_INFINITY;

  constructor(name: string, unit: 'events' | 'bytes', rate: number, key: string) {
    this.name = name;
    this.unit = unit;
    this.rate = rate;
    this.key = key;
    this.#advance = Math.max(1, Math.floor(rate * ADVANCE));
    this.#left = rate;
  }

  /** True when a request may spend, even more than the balance: the rest is owed. */
  get open(): boolean {
    return this.#balance >= 1;
  }

  /** Adds the tokens of the time since the last count, for a gateway without a store. */
  refill(now: number): void {
    const income = (Math.max(0, now - this.#at) * this.rate) / 1000;
    this.#balance = Math.min(this.rate, this.#balance + income);
    this.#at = now;
    this.#left = 0;
    this.#emptyUntil = this.open ? now : now + ((1 - this.#balance) / this.rate) * 1000;
  }

  spend(tokens: number): void {
    this.#balance -= tokens;
  }

  /** Milliseconds until there may be a token again. */
  wait(now: number): number {
    return Math.max(0, this.#emptyUntil - now);
  }

  /** True when it is time to ask the store for more. */
  get low(): boolean {
    return this.#balance < this.#advance / 2;
  }

  ask(): TokenAsk {
    const { key, rate } = this;
    // Whole tokens, so that a full grant always opens the bucket.
    const balance = Math.floor(this.#balance);
    return {
      key,
      rate,
      owed: Math.max(0, -balance),
      want: this.#advance - Math.min(this.#advance, Math.max(0, balance)),
    };
  }

  /** Adds the grant for an ask. Requests may have spent tokens since the ask. */
  receive(ask: TokenAsk, { granted, left, wait }: TokenGrant, now: number): void {
    // Tokens that gathered here during an outage of the store do not come on top of the grant.
    this.#balance = Math.min(this.#advance, this.#balance + ask.owed + granted);
    this.#left = left;
    this.#at = now;
    this.#emptyUntil = granted < ask.want ? now + Math.max(MIN_WAIT_MS, wait) : now;
  }

  /** Estimate of the tokens in the store and here. */
  left(now: number): number {
    if (this.#at === Number.NEGATIVE_INFINITY) return this.rate;
    const income = (Math.max(0, now - this.#at) * this.rate) / 1000;
    return Math.max(0, Math.floor(Math.min(this.rate, this.#left + this.#balance + income)));
  }
}
