import { type Answer, healthOf } from '../function/answer.ts';

export interface PaceOptions {
  /** Most calls at once. */
  concurrency: number;
  /** Calls a second; null for no limit. */
  rate: number | null;
}

/** Milliseconds of a rate that may be caught up at once: timers are not more exact. */
const SLACK_MS = 50;
/** A large concurrency must not take for ever to come back: all of it in so many rounds. */
const ROUNDS = 100;

/**
 * How fast a function is called. Calls at once are halved when it says 429 or does not answer in time, at most
 * once per round trip, and grow back by one (or a hundredth of all) per round of calls that it was up to. A rate
 * is kept by spacing calls evenly.
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
  /** Calls up to this one were begun before the last halving. */
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

  /** Calls at once, now. */
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
