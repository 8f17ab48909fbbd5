import { type Answer, healthOf } from '../function/answer.ts';

export interface PaceOptions {
  /** The most calls at once. */
  concurrency: number;
  /** Calls a second; null for no limit. */
  rate: number | null;
}

/** Calls may be early by so much of the rate: timers are not more exact. */
const SLACK_MS = 50;
/** The whole concurrency grows back in at most so many rounds, however large it is. */
const ROUNDS = 100;

/**
 * How fast a function is called. Its concurrency is halved after a 429 or a timeout, at most once per round trip, and
 * grows back by one (or a hundredth of all) with each round of good answers (additive increase, multiplicative
 * decrease). A rate is kept by spacing calls evenly.
 */
export class Pace {
  readonly #most: number;
  readonly #step: number;
  /** Milliseconds between calls; 0 for no limit. */
  readonly #interval: number;
  /** Milliseconds by which a call may be early. */
  readonly #slack: number;
  #limit: number;
  #good = 0;
  #begun = 0;
  /** The number of the last call that began before the last halving. */
  #cut = 0;
  /** When the next call is due, on the caller's clock. */
  #next = 0;

  constructor({ concurrency, rate }: PaceOptions) {
    this.#most = concurrency;
    this.#limit = concurrency;
    this.#step = Math.ceil(concurrency / ROUNDS);
    this.#interval = rate === null ? 0 : 1000 / rate;
    this.#slack = Math.max(0, SLACK_MS - this.#interval);
  }

  /** Calls that may be in flight now. */
  get limit(): number {
    return this.#limit;
  }

  /** Milliseconds until the rate allows a call; `now` is a monotonic clock's time in milliseconds. */
  wait(now: number): number {
    return this.#interval === 0 ? 0 : Math.max(0, this.#next - this.#slack - now);
  }

  /** A call begins. Returns its number. */
  began(now: number): number {
    if (this.#interval > 0) this.#next = Math.max(this.#next, now) + this.#interval;
    return ++this.#begun;
  }

  /** The call of that number ended. */
  answered(call: number, answer: Answer): void {
    if (answer.status === 429 || answer.fault === 'timeout') {
      if (call <= this.#cut) return;
      this.#cut = this.#begun;
      this.#limit = Math.max(1, Math.floor(this.#limit / 2));
      this.#good = 0;
    } else if (this.#limit < this.#most && healthOf(answer) === 'up' && ++this.#good >= this.#limit) {
      this.#limit = Math.min(this.#most, this.#limit + this.#step);
      this.#good = 0;
    }
  }
}
