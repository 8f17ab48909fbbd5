import { type Answer, healthOf, reasonOf } from '../function/conclude.ts';
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
  /** It has opened or closed. */
  changed(fact: BreakerFact): void;
}

/** What the breaker knows of a call, over all its attempts. */
export interface Tried {
  /** The first of its events. */
  readonly event: object;
  readonly isAlone: boolean;
  /** How many good answers there had been when it failed first; -1: it has not. */
  failedAt: number;
  /** How many good answers there had been when its last attempt began. */
  begunAt: number;
  /** It has failed while the function was held to be down. */
  excused: boolean;
}

/** One bad event fails again and again: so many different ones say that it is the function. */
const FEWEST = 5;
const FIRST_MS = 1_000;
/** A function that says 429 is there, and may take more calls soon. */
const FIRST_THROTTLED_MS = 100;
const LONGEST_MS = 30_000;
/** Milliseconds for which it stays doubtful whether events or the function are bad. */
const DOUBT_MS = 10_000;
/** An outage lasts longer than that; what ends sooner, by an event that never failed, was none. */
const FALSE_ALARM_MS = 5_000;
const MOST_TRUST = 64;

/**
 * Whether a function is worth calling. Closed: calls are made. Open: the function is down; one call at a time
 * probes it, after a wait that doubles, and the first answer of a function that is up closes it.
 *
 * It opens when at least five calls and at least as many as are made at once have failed in a row, five of
 * them with different events or unable to reach the function at all. What a function that is down answers to
 * an event says nothing about the event, so it costs the event no attempt.
 *
 * Bad events alone look the same. What tells is another event that the function takes. So while the function can
 * be reached, events that were never sent are tried all the time (`Search`). An event that fails, before and again
 * after the function took another one, is to blame itself: its failures say nothing about the function any more.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #search: Search;
  /** Failures in a row, without those of events that are to blame. */
  #failures = 0;
  #unreached = 0;
  /** Some of the events that failed in a row. */
  readonly #failed = new Set<object>();
  /** Good answers so far. */
  #good = 0;
  /** What failed before there were so many good answers, failed because the function was down. */
  #forgiven = 0;
  /** More failures in a row are needed after false alarms: so many times as many. */
  #trust = 1;
  /** On the clock; 0: there is no doubt. */
  #doubtUntil = 0;
  #openedAt: number | null = null;
  #probe: Tried | null = null;
  #probes = 0;
  /** Times that it waited since it opened. */
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

  /** It is open, or was a moment ago or nearly so: good events may be behind many bad ones. */
  get isDoubtful(): boolean {
    if (this.#doubtUntil === 0 || this.isOpen) return this.isOpen;
    if (this.#options.clock() > this.#doubtUntil) this.#doubtUntil = 0;
    return this.#doubtUntil > 0;
  }

  /** While it is open: the function answers, or at least takes connections, so that the events may be the bad ones. */
  get isReached(): boolean {
    return this.#search.isReached;
  }

  /** Milliseconds until a call may begin: 0 is now, Infinity is not before the probe's answer. */
  get wait(): number {
    if (this.#openedAt === null) return 0;
    if (this.#probe !== null) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#until - this.#options.clock());
  }

  /** While it is open: milliseconds until an event that was never sent may be tried beside the probe. */
  get searchWait(): number {
    return this.#search.wait(this.#options.clock());
  }

  /** Every second probe: events that have failed may all be bad ones, and then only another tells. */
  get wantsNew(): boolean {
    return this.#probes % 2 === 1;
  }

  /** A call begins: while it is open, the probe when `wait` was 0, or part of the search when `searchWait` was. */
  began(call: Tried, isSearch: boolean): void {
    call.begunAt = this.#good;
    if (!this.isOpen) return;
    if (isSearch) this.#search.began(call, this.#options.clock());
    else {
      this.#probe = call;
      this.#probes++;
    }
  }

  /** A call's answer does not matter any more. */
  dropped(call: Tried): void {
    if (this.#probe === call) this.#probe = null;
    this.#search.dropped(call);
  }

  /**
   * A call ended. False when the attempt must not count against its events. `told`: milliseconds that the
   * function asks to wait, or null; `isLast`: its events would be given up for this failure.
   */
  answered(call: Tried, answer: Answer, told: number | null, isLast: boolean): boolean {
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
      this.#search.failed(answer, told, isSearch);
      if (isProbe) this.#waitAgain(answer, told);
      else if (isSearch && told !== null) this.#until = Math.max(this.#until, this.#options.clock() + told);
      return false;
    }
    return isToBlame || !this.#opens(call, answer, told, isLast);
  }

  #opens(call: Tried, answer: Answer, told: number | null, isLast: boolean): boolean {
    const isUnreached = healthOf(answer) === 'unreachable';
    this.#failures++;
    if (isUnreached) this.#unreached++;
    if (this.#failed.size < FEWEST) this.#failed.add(call.event);
    const isDown = this.#unreached >= FEWEST || this.#failed.size >= FEWEST;
    if (isDown) this.#doubt();
    const most = this.#options.concurrency * (isUnreached ? 1 : this.#trust);
    // No event is at fault when it did not even get there.
    const opens = isLast ? isDown || isUnreached : isDown && this.#failures >= most;
    if (opens) this.#open(answer, told);
    return opens;
  }

  #doubt(): void {
    const now = this.#options.clock();
    if (now > this.#doubtUntil) this.#trust = 1;
    this.#doubtUntil = now + DOUBT_MS;
  }

  #open(answer: Answer, told: number | null): void {
    const { subscription, clock, changed } = this.#options;
    this.#openedAt = clock();
    this.#probes = 0;
    this.#waits = 0;
    this.#left = 0;
    this.#doubt();
    this.#search.open(answer, told, this.#openedAt);
    this.#waitAgain(answer, told);
    changed({ kind: 'breaker', subscription, open: true, reason: reasonOf(answer), ms: null });
  }

  #up({ excused }: Tried): void {
    this.#good++;
    this.#failures = 0;
    this.#unreached = 0;
    this.#failed.clear();
    // It was the function, and has been for the others: they are to be judged anew.
    if (excused) {
      this.#forgiven = this.#good;
      this.#trust = 1;
    }
    if (this.#openedAt === null) return;
    const { subscription, clock, changed } = this.#options;
    const ms = clock() - this.#openedAt;
    if (!excused && ms < FALSE_ALARM_MS) this.#trust = Math.min(MOST_TRUST, this.#trust * 2);
    this.#openedAt = null;
    this.#probe = null;
    this.#doubtUntil = excused ? 0 : clock() + DOUBT_MS;
    changed({ kind: 'breaker', subscription, open: false, reason: null, ms });
  }

  /**
   * 1 s, 2 s, 4 s and so on, up to a quarter less: breakers of many processes must not probe in step. Where an
   * event may be the bad one, as many as seconds have passed have their turn then, one after the other.
   */
  #waitAgain(answer: Answer, told: number | null): void {
    const { clock, random } = this.#options;
    const isEvents = this.isReached && answer.status !== 429;
    if (--this.#left > 0 && isEvents && told === null) return;
    const first = answer.status === 429 ? FIRST_THROTTLED_MS : FIRST_MS;
    const wait = Math.min(LONGEST_MS, first * 2 ** Math.min(this.#waits++, 10));
    this.#left = isEvents ? wait / FIRST_MS : 1;
    this.#until = clock() + Math.max(wait * (1 - random() / 4), told ?? 0);
  }
}
