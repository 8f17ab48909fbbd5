import { type Attempted, nextAttempt, WaitingCalls, waitBefore } from '../consume/attempts.ts';
import { type Answer, invalidCall, isThrottled } from '../function/answer.ts';
import type { Caller, Invocation, Invoker } from '../function/invoker.ts';
import { type RetryPolicy, retryAfter } from '../function/retry.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** The result of a call after its last attempt. */
export interface CallResult {
  answer: Answer;
  done: boolean;
  /** It is not known to be done, but it may have been. */
  unsure: boolean;
  attempts: number;
  /** Milliseconds from its first attempt on. */
  ms: number;
}

export interface CallOptions {
  invoker: Invoker;
  record: StoredRecord;
  retry: RetryPolicy;
  /** Another process may have made it before. */
  again: boolean;
  ended(result: CallResult): void;
}

/** The calls of a workflow: at most `limit` are in flight, and the others wait for their turn. */
export class Calls {
  readonly #limit: number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly #changed: () => void;
  readonly #waiting = new WaitingCalls<StepCall>(() => this.#turn());
  readonly #inflight = new Set<StepCall>();
  #closed = false;

  /** `changed` is called when a call has ended. */
  constructor(limit: number, random: () => number, changed: () => void) {
    this.#limit = limit;
    this.random = random;
    this.#changed = changed;
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#waiting.due;
  }

  get inflight(): number {
    return this.#inflight.size;
  }

  begin(options: CallOptions): StepCall {
    const call = new StepCall(options, this);
    if (this.#closed) return call;
    this.#waiting.push(call);
    this.#turn();
    return call;
  }

  /** Makes the next attempt in `ms` milliseconds. */
  again(call: StepCall, ms: number): void {
    if (!this.#closed) this.#waiting.delay(call, ms);
  }

  /** Makes no next attempt. False when none is planned. */
  cancel(call: StepCall): boolean {
    return this.#waiting.cancel(call);
  }

  /** Begins no more attempts. Those in flight may end. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  #turn(): void {
    while (this.#inflight.size < this.#limit) {
      const call = this.#waiting.shift();
      if (call === undefined) return;
      if (call.isOver) continue;
      this.#inflight.add(call);
      call.attempt();
    }
  }

  /** The attempt of a call has ended. */
  left(call: StepCall): void {
    if (!this.#inflight.delete(call)) return;
    // Not at once: undici counts a connection as busy until its callback has returned.
    queueMicrotask(() => {
      if (!this.#closed) this.#turn();
      this.#changed();
    });
  }
}

/** One call over all its attempts. */
export class StepCall implements Caller, Attempted {
  readonly #options: CallOptions;
  readonly #calls: Calls;
  attempts = 0;
  failures = 0;
  fresh = true;
  timer: NodeJS.Timeout | null = null;
  isOver = false;
  #unsure: boolean;
  #hurried = false;
  #began = 0;
  #answer: Answer | null = null;
  #invocation: Invocation | null = null;

  constructor(options: CallOptions, calls: Calls) {
    this.#options = options;
    this.#calls = calls;
    this.#unsure = options.again;
  }

  attempt(): void {
    const { invoker, record } = this.#options;
    if (this.#began === 0) this.#began = performance.now();
    this.attempts++;
    this.#answer = null;
    try {
      const invocation = invoker.invoke([record], this, this.fresh);
      // `answered` may have been called already.
      if (this.#answer === null) this.#invocation = invocation;
    } catch (error) {
      this.answered(invalidCall((error as Error).message));
    }
  }

  answered(answer: Answer): void {
    this.#answer = answer;
    this.#invocation = null;
    this.#calls.left(this);
    if (!this.isOver) this.#conclude(answer);
  }

  /** Makes no further attempt. One in flight may end. */
  hurry(): void {
    this.#hurried = true;
    if (this.#calls.cancel(this)) this.#end(this.#answer!, false);
  }

  /** Ends the call: its result is no longer wanted. */
  drop(): void {
    this.isOver = true;
    this.#calls.cancel(this);
    this.#invocation?.abort();
  }

  #conclude(answer: Answer): void {
    const { retry } = this.#options;
    // Done, except that the event failed: a batch of one.
    const failed = this.attempts >= retry.attempts ? 'give_up' : 'wait';
    const next = answer.failed === null ? nextAttempt(this, answer, retry) : failed;
    if (next === 'done') {
      this.#end(answer, true);
      return;
    }
    if (!isUndone(answer)) this.#unsure = true;
    this.fresh = next !== 'reconnect';
    if (next === 'reconnect' || isThrottled(answer)) this.attempts--;
    if (this.#hurried || next === 'give_up') {
      this.#end(answer, false);
      return;
    }
    const retryAfterMs = retryAfter(answer.retryAfter, Date.now(), retry.max);
    this.#calls.again(this, waitBefore(next, this, retry, retryAfterMs, this.#calls.random));
  }

  #end(answer: Answer, done: boolean): void {
    this.isOver = true;
    const ms = performance.now() - this.#began;
    const unsure = !done && this.#unsure;
    this.#options.ended({ answer, done, unsure, attempts: this.attempts, ms });
  }
}

/** Whether an answer makes sure that nothing was done. */
function isUndone({ status, fault }: Answer): boolean {
  if (fault === 'unreachable' || fault === 'invalid_call') return true;
  if (fault === 'too_large') return status === null;
  return fault === null && status !== null && status >= 300 && status < 500 && status !== 408;
}
