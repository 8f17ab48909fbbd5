import { type Answer, conclude, isThrottled } from '../function/answer.ts';
import { type RetryPolicy, retryWait } from '../function/retry.ts';
import { Queue } from './queue.ts';

/** A call over all its attempts. */
export interface Attempted {
  /** Attempts begun, without those that cost none. */
  attempts: number;
  /** Failures in a row: the wait for the next attempt grows with them. */
  failures: number;
  /** False after a stale connection, which is tried again only once per attempt. */
  fresh: boolean;
  /** Set while it waits for its next attempt. */
  timer: NodeJS.Timeout | null;
}

/** What follows from an answer. `reconnect`: the same call on another connection. `wait`: the same call after a back-off. */
export type NextAttempt = 'done' | 'reconnect' | 'wait' | 'give_up';

/** Long enough to notice which other idle connections were closed too. */
const RECONNECT_MS = 10;

/** What follows from an answer if the event of the call may be the cause of it. */
export function nextAttempt({ attempts }: Attempted, answer: Answer, retry: RetryPolicy): NextAttempt {
  const conclusion = conclude(answer);
  if (conclusion === 'done') return 'done';
  if (conclusion === 'again') return 'reconnect';
  if (isThrottled(answer)) return 'wait';
  return conclusion === 'refused' || attempts >= retry.attempts ? 'give_up' : 'wait';
}

/** Milliseconds until the next attempt. Counts a failure, unless the call only needs another connection. */
export function waitBefore(
  next: 'reconnect' | 'wait',
  call: Attempted,
  retry: RetryPolicy,
  retryAfterMs: number | null,
  random: () => number,
): number {
  return next === 'reconnect' ? RECONNECT_MS : retryWait(++call.failures, retry, retryAfterMs, random);
}

/** Calls between two attempts, or before their first. They do not count against the concurrency. */
export class WaitingCalls<C extends Attempted> {
  readonly #delayed = new Set<C>();
  /** Calls whose wait is over. */
  readonly #due = new Queue<C>();
  readonly #whenDue: () => void;

  constructor(whenDue: () => void) {
    this.#whenDue = whenDue;
  }

  /** Calls whose wait is over. */
  get due(): number {
    return this.#due.length;
  }

  /** The call may be begun in `ms` milliseconds. */
  delay(call: C, ms: number): void {
    this.#delayed.add(call);
    call.timer = setTimeout(this.#over, ms, call);
  }

  /** The call may be begun now. */
  push(call: C): void {
    this.#due.push(call);
  }

  /** A call whose wait is over, or undefined. */
  shift(): C | undefined {
    return this.#due.shift();
  }

  /** Ends the wait of a call that is delayed, and forgets it. False when it is not delayed. */
  cancel(call: C): boolean {
    if (call.timer !== null) clearTimeout(call.timer);
    call.timer = null;
    return this.#delayed.delete(call);
  }

  clear(): void {
    this.#due.clear();
    for (const call of this.#delayed) this.cancel(call);
  }

  *[Symbol.iterator](): Generator<C> {
    yield* this.#due;
    yield* this.#delayed;
  }

  readonly #over = (call: C): void => {
    this.cancel(call);
    this.#due.push(call);
    this.#whenDue();
  };
}
