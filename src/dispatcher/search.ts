import { type Answer, healthOf } from '../function/answer.ts';

const FIRST_INTERVAL_MS = 5;
const MAX_INTERVAL_MS = 1_000;
/** The interval doubles each time that so many events have failed. */
const EVENTS_PER_DOUBLING = 256;
/** The part of the concurrency that the search may use. */
const SHARE = 1 / 4;

/**
 * Paces the search for an event that the function takes, among those that were never sent, while the breaker is open.
 * Up to 200 a second at first, fewer as more of them fail. One a second when the function asks to wait. None while it
 * cannot be reached, as no event causes that.
 */
export class Search {
  readonly #most: number;
  readonly #calls = new Set<object>();
  #isReached = true;
  #isAskedToWait = false;
  #failed = 0;
  #next = 0;

  /** For so many calls at once. */
  constructor(concurrency: number) {
    this.#most = Math.max(1, Math.floor(concurrency * SHARE));
  }

  /** The last call that failed had reached the function. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** Milliseconds until the next call may begin; Infinity: not before another call ends. */
  wait(now: number): number {
    if (!this.#isReached || this.#calls.size >= this.#most) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#next - now);
  }

  /** The breaker has opened because of this answer. */
  open(answer: Answer, retryAfterMs: number | null, now: number): void {
    this.#failed = 0;
    this.failed(answer, retryAfterMs, false);
    this.#next = now + this.#interval;
  }

  began(call: object, now: number): void {
    this.#calls.add(call);
    this.#next = now + this.#interval;
  }

  /** The call has ended. Returns whether it was part of the search. */
  dropped(call: object): boolean {
    return this.#calls.delete(call);
  }

  /** A call failed, whether it was part of the search or not. */
  failed(answer: Answer, retryAfterMs: number | null, isSearch: boolean): void {
    this.#isReached = healthOf(answer) !== 'unreachable';
    this.#isAskedToWait = retryAfterMs !== null || answer.status === 429;
    if (isSearch) this.#failed++;
  }

  get #interval(): number {
    if (this.#isAskedToWait) return MAX_INTERVAL_MS;
    const doublings = Math.min(10, Math.floor(this.#failed / EVENTS_PER_DOUBLING));
    return Math.min(MAX_INTERVAL_MS, FIRST_INTERVAL_MS * 2 ** doublings);
  }
}
