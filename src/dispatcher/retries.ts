import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { Answer } from '../function/answer.ts';
import { retryWait } from '../function/retry.ts';
import type { Breaker } from './breaker.ts';
import type { Call, Delivery } from './call.ts';
import { isAwaited, Overtake } from './overtake.ts';
import { Waiting } from './delayed-calls.ts';

export interface AgainOptions {
  subscription: Pick<SubscriptionConfig, 'retry' | 'retryAge'>;
  breaker: Breaker;
  now: () => number;
  random: () => number;
  makeCall(delivery: Delivery): Call;
  /** Begins a call that is part of the breaker's search. */
  begin(call: Call): void;
  giveUp(call: Call): void;
  changed(): void;
}

/** Calls that have failed, until they are made again, and which of them is the next. */
export class Again {
  readonly #options: AgainOptions;
  readonly #waiting: Waiting;
  readonly #overtake: Overtake;
  #closing = false;

  constructor(options: AgainOptions) {
    this.#options = options;
    this.#waiting = new Waiting(options.changed);
    const { retry } = options.subscription;
    this.#overtake = new Overtake({ ...options, retry, resume: (call) => this.resume(call) });
  }

  /** Events of all these calls. */
  get events(): number {
    return this.#waiting.events;
  }

  *[Symbol.iterator](): Generator<Call> {
    yield* this.#waiting;
    yield* this.#overtake;
  }

  /** A call whose next attempt may begin, or undefined. Those that have become too old are given up. */
  due(): Call | undefined {
    for (;;) {
      const call = this.#waiting.shift();
      if (call === undefined || !this.isLate(call)) return call;
      this.#options.giveUp(call);
    }
  }

  /** As `due`, but with one event: any other may be what a call with several fails for. */
  dueAlone(): Call | undefined {
    const call = this.due();
    return call === undefined || call.isAlone ? call : this.#waiting.part(call);
  }

  /** Looks past an event that others wait for, when that is due: may begin a call. */
  overtakes(): boolean {
    // What becomes too old is given up without that.
    if (this.#closing || this.#options.subscription.retryAge !== null) return false;
    if (this.#overtake.isActive) return this.#overtake.begin();
    const head = this.#waiting.take(isAwaited);
    if (head !== undefined) this.#overtake.take(head);
    return false;
  }

  /** The function is up: nothing is overtaken any more. */
  keepOrder(): void {
    this.#overtake.release();
  }

  /** A call ended. True when nothing more is to be done for it now. */
  concluded(call: Call, answer: Answer, told: number | null): boolean {
    return this.#overtake.concluded(call, answer, told);
  }

  /** The call's wait for its turn is over. */
  resume(call: Call): void {
    if (!this.#closing) this.#waiting.push(call);
  }

  /** The call may be made again in `ms` milliseconds. When this is over, whoever owns the partition next reads it again. */
  delay(call: Call, ms: number): void {
    if (!this.#closing) this.#waiting.delay(call, ms);
  }

  /** Milliseconds. */
  backOff({ failures }: Call, told: number | null): number {
    const { subscription, random } = this.#options;
    return retryWait(failures, subscription.retry, told, random);
  }

  /** Whether an attempt after `ms` milliseconds would begin too long after the first. */
  isLate({ deadline }: Call, ms = 0): boolean {
    return deadline !== Number.POSITIVE_INFINITY && this.#options.now() + ms > deadline;
  }

  /** Drops all, also what comes later. */
  close(): void {
    this.#closing = true;
    this.#waiting.clear();
    this.#overtake.clear();
  }
}
