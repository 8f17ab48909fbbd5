import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { WaitingCalls } from '../consume/attempts.ts';
import type { Answer } from '../function/answer.ts';
import { retryWait } from '../function/retry.ts';
import type { Breaker } from './breaker.ts';
import type { Call, Delivery } from './call.ts';
import { returnToLane } from './lanes.ts';
import { isAwaited, Overtake } from './overtake.ts';
import { firstOf } from './split.ts';

export interface RetriesOptions {
  subscription: Pick<SubscriptionConfig, 'retry' | 'retryAge'>;
  breaker: Breaker;
  now: () => number;
  random: () => number;
  makeCall(delivery: Delivery): Call;
  /** Begins a call as part of the breaker's search. */
  begin(call: Call): void;
  giveUp(call: Call): void;
  changed(): void;
}

/** Holds calls that have failed until they are made again, and says which of them is the next. */
export class Retries {
  readonly #options: RetriesOptions;
  readonly #waiting: WaitingCalls<Call>;
  #events = 0;
  readonly #overtake: Overtake;
  #closing = false;

  constructor(options: RetriesOptions) {
    this.#options = options;
    this.#waiting = new WaitingCalls(options.changed);
    const { retry } = options.subscription;
    this.#overtake = new Overtake({ ...options, retry, resume: (call) => this.resume(call) });
  }

  /** Events of the calls that wait. */
  get events(): number {
    return this.#events;
  }

  *[Symbol.iterator](): Generator<Call> {
    yield* this.#waiting;
    yield* this.#overtake;
  }

  /** A call whose next attempt may begin, or undefined. Gives up calls that have become too old. */
  due(): Call | undefined {
    for (;;) {
      const call = this.#shift();
      if (call === undefined || !this.isLate(call)) return call;
      this.#options.giveUp(call);
    }
  }

  /** As `due`, but a call with one event: with several, any of them may be the cause of a failure. */
  dueAlone(): Call | undefined {
    const call = this.due();
    if (call === undefined || call.isAlone) return call;
    const { one, other, after } = firstOf(call);
    if (after) returnToLane(other);
    else this.resume(other);
    return one;
  }

  /** Tries the event behind one that keeps others waiting, when that is due. True when it began a call. */
  overtakes(): boolean {
    // With `retryAge` an event that fails is given up in time anyway.
    if (this.#closing || this.#options.subscription.retryAge !== null) return false;
    if (this.#overtake.isActive) return this.#overtake.begin();
    let head: Call | undefined;
    for (let left = this.#waiting.due; left > 0; left--) {
      const call = this.#shift()!;
      if (head === undefined && isAwaited(call)) head = call;
      else this.resume(call);
    }
    if (head !== undefined) this.#overtake.take(head);
    return false;
  }

  /** The function is up: events no longer overtake others. */
  keepOrder(): void {
    this.#overtake.release();
  }

  /** A call ended. True when the caller has nothing more to do for it. */
  concluded(call: Call, answer: Answer, retryAfterMs: number | null): boolean {
    return this.#overtake.concluded(call, answer, retryAfterMs);
  }

  /** The call may be made again now. */
  resume(call: Call): void {
    if (this.#closing) return;
    this.#events += call.deliveries.length;
    this.#waiting.push(call);
  }

  /** The call may be made again in `ms` milliseconds. Dropped when closed: the next owner of the partition reads it again. */
  delay(call: Call, ms: number): void {
    if (this.#closing) return;
    this.#events += call.deliveries.length;
    this.#waiting.delay(call, ms);
  }

  /** Milliseconds until the call's next attempt. */
  backOff({ failures }: Call, retryAfterMs: number | null): number {
    const { subscription, random } = this.#options;
    return retryWait(failures, subscription.retry, retryAfterMs, random);
  }

  /** Whether an attempt after `ms` milliseconds would begin too long after the first. */
  isLate({ deadline }: Call, ms = 0): boolean {
    return deadline !== Number.POSITIVE_INFINITY && this.#options.now() + ms > deadline;
  }

  /** Drops all calls, also those that are added later. */
  close(): void {
    this.#closing = true;
    this.#waiting.clear();
    this.#events = 0;
    this.#overtake.clear();
  }

  #shift(): Call | undefined {
    const call = this.#waiting.shift();
    if (call !== undefined) this.#events -= call.deliveries.length;
    return call;
  }
}
