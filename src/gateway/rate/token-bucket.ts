import type { TokenAsk, TokenGrant } from '../../ports/rate-store.ts';

/** Part of a second's tokens that a gateway takes from the store ahead of its requests. */
const AHEAD = 0.1;
/** Least milliseconds until a store that had not enough is asked again. */
const PATIENCE = 20;

/**
 * One bucket of tokens as this gateway sees it: what it may spend without asking, and what it heard of the rest.
 * Times are milliseconds of a monotonic clock.
 */
export class Meter {
  readonly name: string;
  readonly unit: 'events' | 'bytes';
  /** Tokens a second, and the most that gather. */
  readonly rate: number;
  readonly key: string;
  /** Resolves when the answer to a pending ask is in. */
  asking: Promise<void> | null = null;
  #ahead: number;
  /** Below 0: owed. */
  #balance = 0;
  /** What the store had when it answered last. */
  #left: number;
  /** When tokens were counted last; never before: the bucket is full. */
  #at = Number.NEGATIVE_INFINITY;
  #emptyUntil = Number.NEGATIVE_INFINITY;

  constructor(name: string, unit: 'events' | 'bytes', rate: number, key: string) {
    this.name = name;
    this.unit = unit;
    this.rate = rate;
    this.key = key;
    this.#ahead = Math.max(1, Math.floor(rate * AHEAD));
    this.#left = rate;
  }

  /** True when a request may come in, however much it holds: what it takes beyond is owed. */
  get open(): boolean {
    return this.#balance >= 1;
  }

  /** Counts what has come in since the last time, for want of a store. */
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

  /** Milliseconds until it is worth to try again. */
  wait(now: number): number {
    return Math.max(0, this.#emptyUntil - now);
  }

  /** True when it is time to get more from the store. */
  get low(): boolean {
    return this.#balance < this.#ahead / 2;
  }

  ask(): TokenAsk {
    const { key, rate } = this;
    // Whole tokens, so that what is asked for always opens the meter.
    const balance = Math.floor(this.#balance);
    return {
      key,
      rate,
      owed: Math.max(0, -balance),
      want: this.#ahead - Math.min(this.#ahead, Math.max(0, balance)),
    };
  }

  /** Takes the answer to an ask; more may have been spent meanwhile. */
  receive(ask: TokenAsk, { granted, left, wait }: TokenGrant, now: number): void {
    // What gathered here while there was no store is not to be had on top.
    this.#balance = Math.min(this.#ahead, this.#balance + ask.owed + granted);
    this.#left = left;
    this.#at = now;
    this.#emptyUntil = granted < ask.want ? now + Math.max(PATIENCE, wait) : now;
  }

  /** Tokens that are left, in the store and here, as far as is known. */
  left(now: number): number {
    if (this.#at === Number.NEGATIVE_INFINITY) return this.rate;
    const income = (Math.max(0, now - this.#at) * this.rate) / 1000;
    return Math.max(0, Math.floor(Math.min(this.rate, this.#left + this.#balance + income)));
  }
}
