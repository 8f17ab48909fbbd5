import { type Answer, healthOf, reasonOf } from '../function/answer.ts';
import type { BreakerFact } from '../ports/report.ts';
import { Search } from './search.ts';

export interface BreakerOptions {
  subscription: string;
  /** Calls at once. */
  concurrency: number;
  /** Milliseconds on a clock that does not jump. */
  clock: () => number;
  /** From 0 to below 1. */
  random: () => number;
  /** The breaker has opened or closed. */
  changed(facts: BreakerFact): void;
}

/** A call as the breaker sees it, over all its attempts. */
export interface BreakerCall {
  /** The first of its events. */
  readonly event: object;
  readonly isAlone: boolean;
  /** The count of good answers when the call failed first; -1: it has not failed. */
  failedAt: number;
  /** The count of good answers when its last attempt began. */
  begunAt: number;
  /** It has failed while the breaker was open. */
  excused: boolean;
}

/** One bad event fails again and again. So many different events that fail mean that the function is down. */
const MIN_FAILED_EVENTS = 5;
const FIRST_WAIT_MS = 1_000;
/** A function that answers 429 is up, and may take more calls soon. */
const FIRST_THROTTLED_WAIT_MS = 100;
const MAX_WAIT_MS = 30_000;
/** For so long it stays in doubt whether the events or the function are bad. */
const DOUBT_MS = 10_000;
/** An outage lasts longer. When an event that never failed is taken sooner, there was no outage. */
const FALSE_ALARM_MS = 5_000;
const MAX_TRUST = 64;

/**
 * Whether a function is worth calling. Closed: calls are made. Open: the function is down; one call at a time
 * probes it, after a wait that doubles, and the first answer of a function that is up closes it.
 *
 * It opens when calls fail in a row: at least five, and at least as many as are made at once. Five of them must have
 * had different events, or not have reached the function. The answer of a function that is down says nothing about the
 * event, so it costs the event no attempt.
 *
 * Many bad events look like a function that is down. Only an event that the function takes shows the difference. So
 * while the function can be reached, events that were never sent are tried (`Search`). An event that fails both before
 * and after the function took another one is bad itself: its failures no longer count against the function.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #search: Search;
  /** Failures in a row, without those of events that are bad themselves. */
  #failures = 0;
  #unreached = 0;
  /** Up to `MIN_FAILED_EVENTS` of the events that failed in a row. */
  readonly #failed = new Set<object>();
  /** Good answers so far. */
  #good = 0;
  /** Calls that failed before this count of good answers failed because the function was down. */
  #forgiven = 0;
  /** After false alarms the breaker needs so many times as many failures in a row. */
  #trust = 1;
  /** Time on the clock; 0: there is no doubt. */
  #doubtUntil = 0;
  #openedAt: number | null = null;
  #probe: BreakerCall | null = null;
  #probes = 0;
  /** How often it has waited since it opened. */
  #waits = 0;
  /** Probes that are left before it waits again. */
  #left = 0;
  #until = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#search = new Search(options.concurrency);
  }

  get isOpen(): boolean {
    return this.#openedAt !== null;
  }

  /** It is open, was open a moment ago, or nearly opened: good events may be behind many bad ones. */
  get isDoubtful(): boolean {
    if (this.#doubtUntil === 0 || this.isOpen) return this.isOpen;
    if (this.#options.clock() > this.#doubtUntil) this.#doubtUntil = 0;
    return this.#doubtUntil > 0;
  }

  /** While it is open: the function takes connections at least, so the events may be bad instead. */
  get isReached(): boolean {
    return this.#search.isReached;
  }

  /** Milliseconds until a call may begin. 0: now; Infinity: not before the probe's answer. */
  get wait(): number {
    if (this.#openedAt === null) return 0;
    if (this.#probe !== null) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#until - this.#options.clock());
  }

  /** While it is open: milliseconds until an event that was never sent may be tried beside the probe. */
  get searchWait(): number {
    return this.#search.wait(this.#options.clock());
  }

  /** True for every second probe: the events that have failed may all be bad, and then only another event helps. */
  get wantsNew(): boolean {
    return this.#probes % 2 === 1;
  }

  /** A call begins. While the breaker is open it is the probe, allowed by `wait`, or part of the search, by `searchWait`. */
  began(call: BreakerCall, isSearch: boolean): void {
    call.begunAt = this.#good;
    if (!this.isOpen) return;
    if (isSearch) this.#search.began(call, this.#options.clock());
    else {
      this.#probe = call;
      this.#probes++;
    }
  }

  /** The answer of this call no longer matters. */
  dropped(call: BreakerCall): void {
    if (this.#probe === call) this.#probe = null;
    this.#search.dropped(call);
  }

  /**
   * A call ended. False when the attempt must not count against its events. `retryAfterMs`: the wait that the function
   * asks for, or null. `isLast`: this failure would send its events to the dead-letter topic.
   */
  answered(call: BreakerCall, answer: Answer, retryAfterMs: number | null, isLast: boolean): boolean {
    const isProbe = this.#probe === call;
    const isSearch = this.#search.dropped(call);
    if (isProbe) this.#probe = null;
    const health = healthOf(answer);
    if (health === 'unknown') return true;
    if (health === 'up') {
      this.#up(call);
      return true;
    }
    const isToBlame = health === 'failing' && call.failedAt >= this.#forgiven && call.failedAt < call.begunAt;
    if (health === 'failing' && call.failedAt < this.#forgiven) call.failedAt = this.#good;
    if (this.isOpen) {
      if (call.isAlone) call.excused = true;
      this.#search.failed(answer, retryAfterMs, isSearch);
      if (isProbe) this.#waitAgain(answer, retryAfterMs);
      else if (isSearch && retryAfterMs !== null)
        this.#until = Math.max(this.#until, this.#options.clock() + retryAfterMs);
      return false;
    }
    return isToBlame || !this.#opens(call, answer, retryAfterMs, isLast);
  }

  #opens(call: BreakerCall, answer: Answer, retryAfterMs: number | null, isLast: boolean): boolean {
    const isUnreached = healthOf(answer) === 'unreachable';
    this.#failures++;
    if (isUnreached) this.#unreached++;
    if (this.#failed.size < MIN_FAILED_EVENTS) this.#failed.add(call.event);
    const isDown = this.#unreached >= MIN_FAILED_EVENTS || this.#failed.size >= MIN_FAILED_EVENTS;
    if (isDown) this.#doubt();
    const most = this.#options.concurrency * (isUnreached ? 1 : this.#trust);
    // An event that did not reach the function cannot be the bad one.
    const opens = isLast ? isDown || isUnreached : isDown && this.#failures >= most;
    if (opens) this.#open(answer, retryAfterMs);
    return opens;
  }

  #doubt(): void {
    const now = this.#options.clock();
    if (now > this.#doubtUntil) this.#trust = 1;
    this.#doubtUntil = now + DOUBT_MS;
  }

  #open(answer: Answer, retryAfterMs: number | null): void {
    const { subscription, clock, changed } = this.#options;
    this.#openedAt = clock();
    this.#probes = 0;
    this.#waits = 0;
    this.#left = 0;
    this.#doubt();
    this.#search.open(answer, retryAfterMs, this.#openedAt);
    this.#waitAgain(answer, retryAfterMs);
    changed({ kind: 'breaker', subscription, open: true, reason: reasonOf(answer), ms: null });
  }

  #up({ excused }: BreakerCall): void {
    this.#good++;
    this.#failures = 0;
    this.#unreached = 0;
    this.#failed.clear();
    // The function was down, so the failures of the other events do not count either.
    if (excused) {
      this.#forgiven = this.#good;
      this.#trust = 1;
    }
    if (this.#openedAt === null) return;
    const { subscription, clock, changed } = this.#options;
    const ms = clock() - this.#openedAt;
    if (!excused && ms < FALSE_ALARM_MS) this.#trust = Math.min(MAX_TRUST, this.#trust * 2);
    this.#openedAt = null;
    this.#probe = null;
    this.#doubtUntil = excused ? 0 : clock() + DOUBT_MS;
    changed({ kind: 'breaker', subscription, open: false, reason: null, ms });
  }

  /**
   * Waits 1 s, 2 s, 4 s and so on, each up to a quarter less, so that the breakers of many processes do not probe at
   * the same moment. Where events may be the bad ones, a wait of n seconds is followed by n probes without a wait.
   */
  #waitAgain(answer: Answer, retryAfterMs: number | null): void {
    const { clock, random } = this.#options;
    const isEvents = this.isReached && answer.status !== 429;
    if (--this.#left > 0 && isEvents && retryAfterMs === null) return;
    const first = answer.status === 429 ? FIRST_THROTTLED_WAIT_MS : FIRST_WAIT_MS;
    const wait = Math.min(MAX_WAIT_MS, first * 2 ** Math.min(this.#waits++, 10));
    this.#left = isEvents ? wait / FIRST_WAIT_MS : 1;
    this.#until = clock() + Math.max(wait * (1 - random() / 4), retryAfterMs ?? 0);
  }
}
