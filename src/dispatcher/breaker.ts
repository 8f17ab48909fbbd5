import type { BreakerFacts } from '../ports/report.ts';
import { type Answer, healthOf, reasonOf } from './conclude.ts';

export interface BreakerOptions {
  subscription: string;
  /** Calls at once. */
  concurrency: number;
  /** Milliseconds on a clock that does not jump. */
  clock: () => number;
  /** From 0 to below 1. */
  random: () => number;
  /** It has opened or closed. */
  changed(facts: BreakerFacts): void;
}

/** One bad event fails again and again: so many different ones say that it is the function. */
const FEWEST = 5;
const FIRST_MS = 1_000;
/** A function that says 429 is there, and may take more calls soon. */
const FIRST_THROTTLED_MS = 100;
const LONGEST_MS = 30_000;

/**
 * Whether a function is worth calling. Closed: calls are made. Open: the function is down; one call at a time
 * probes it, after a wait that doubles, and the first answer of a function that is up closes it.
 *
 * It opens when at least five calls and at least as many as are made at once have failed in a row, five of
 * them with different events or unable to reach the function at all. What a function that is down answers to
 * an event says nothing about the event, so it costs the event no attempt.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  /** Failures in a row. */
  #failures = 0;
  #unreached = 0;
  /** Some of the calls that failed in a row. */
  readonly #failed = new Set<object>();
  #openedAt: number | null = null;
  #probe: object | null = null;
  #probes = 0;
  #until = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#openedAt !== null;
  }

  /** Milliseconds until a call may begin: 0 is now, Infinity is not before the probe's answer. */
  get wait(): number {
    if (this.#openedAt === null) return 0;
    if (this.#probe !== null) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#until - this.#options.clock());
  }

  /** Every second probe: events that have failed may all be bad ones, and then only another tells. */
  get wantsNew(): boolean {
    return this.#probes % 2 === 1;
  }

  /** A call begins; `wait` was 0. */
  began(call: object): void {
    if (!this.isOpen) return;
    this.#probe = call;
    this.#probes++;
  }

  /** A call's answer does not matter any more. */
  dropped(call: object): void {
    if (this.#probe === call) this.#probe = null;
  }

  /**
   * A call ended. False when the attempt must not count against its events. `told`: milliseconds that the
   * function asks to wait, or null; `isLast`: its events would be given up for this failure.
   */
  answered(call: object, answer: Answer, told: number | null, isLast: boolean): boolean {
    const isProbe = this.#probe === call;
    this.dropped(call);
    const health = healthOf(answer);
    if (health === 'unknown') return true;
    if (health === 'up') {
      this.#close();
      return true;
    }
    if (this.isOpen) {
      if (isProbe) this.#waitAgain(answer, told);
      return false;
    }
    this.#failures++;
    if (health === 'unreachable') this.#unreached++;
    if (this.#failed.size < FEWEST) this.#failed.add(call);
    const isDown = this.#unreached >= FEWEST || this.#failed.size >= FEWEST;
    // No event is at fault when it did not even get there.
    const opens = isLast
      ? isDown || health === 'unreachable'
      : isDown && this.#failures >= this.#options.concurrency;
    if (opens) this.#open(answer, told);
    return !opens;
  }

  #open(answer: Answer, told: number | null): void {
    const { subscription, clock, changed } = this.#options;
    this.#openedAt = clock();
    this.#probes = 0;
    this.#waitAgain(answer, told);
    changed({ subscription, open: true, reason: reasonOf(answer), ms: null });
  }

  #close(): void {
    this.#failures = 0;
    this.#unreached = 0;
    this.#failed.clear();
    if (this.#openedAt === null) return;
    const { subscription, clock, changed } = this.#options;
    const ms = clock() - this.#openedAt;
    this.#openedAt = null;
    this.#probe = null;
    changed({ subscription, open: false, reason: null, ms });
  }

  /** 1 s, 2 s, 4 s and so on, up to a quarter less: breakers of many processes must not probe in step. */
  #waitAgain(answer: Answer, told: number | null): void {
    const { clock, random } = this.#options;
    const first = answer.status === 429 ? FIRST_THROTTLED_MS : FIRST_MS;
    const wait = Math.min(LONGEST_MS, first * 2 ** Math.min(this.#probes, 10));
    this.#until = clock() + Math.max(wait * (1 - random() / 4), told ?? 0);
  }
}
