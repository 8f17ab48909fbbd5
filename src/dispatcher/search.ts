import { type Answer, healthOf } from '../function/answer.ts';

const FIRST_MS = 5;
const LONGEST_MS = 1_000;
/** After so many events that all failed, the time between two doubles. */
const PATIENCE = 256;
/** Part of the calls at once. */
const SHARE = 1 / 4;

/**
 * While a function is held to be down: which events that were never sent may be tried, to find one that it takes.
 * Up to 200 a second at first, ever fewer as all of them fail; one a second when the function asks to wait; none
 * when it cannot be reached, as this is no event's doing.
 */
export class Search {
  readonly #most: number;
  readonly #calls = new Set<object>();
  #isReached = true;
  #isTold = false;
  #failed = 0;
  #next = 0;

  /** For so many calls at once. */
  constructor(concurrency: number) {
    this.#most = Math.max(1, Math.floor(concurrency * SHARE));
  }

  /** The last call that failed got as far as the function. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** Milliseconds until the next one may begin; Infinity: not before something ends. */
  wait(now: number): number {
    if (!this.#isReached || this.#calls.size >= this.#most) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#next - now);
  }

  /** The function is held to be down since this answer. */
  open(answer: Answer, told: number | null, now: number): void {
    this.#failed = 0;
    this.failed(answer, told, false);
    this.#next = now + this.#interval;
  }

  began(call: object, now: number): void {
    this.#calls.add(call);
    this.#next = now + this.#interval;
  }

  /** The call has ended. Returns whether it was one of the search. */
  dropped(call: object): boolean {
    return this.#calls.delete(call);
  }

  /** A call failed, one of the search or another. */
  failed(answer: Answer, told: number | null, isSearch: boolean): void {
    this.#isReached = healthOf(answer) !== 'unreachable';
    this.#isTold = told !== null || answer.status === 429;
    if (isSearch) this.#failed++;
  }

  get #interval(): number {
    if (this.#isTold) return LONGEST_MS;
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(10, Math.floor(this.#failed / PATIENCE)));
  }
}
