import { type Answer, conclude, invalidCall, isThrottled } from '../function/answer.ts';
import type { Caller, Invocation, Invoker } from '../function/invoker.ts';
import { type RetryPolicy, retryAfter, retryWait } from '../function/retry.ts';
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

/** Long enough to notice which other idle connections were closed too. */
const RECONNECT_MS = 10;

/** The pool that a call is in. */
interface CallPool {
  /** The call may make its next attempt. */
  ready(call: StepCall): void;
  /** The attempt has ended. */
  left(call: StepCall): void;
}

/** One call over all its attempts. */
export class StepCall implements Caller {
  readonly #options: CallOptions;
  readonly #random: () => number;
  readonly #pool: CallPool;
  #attempts = 0;
  #failures = 0;
  #fresh = true;
  #unsure: boolean;
  #hurried = false;
  #over = false;
  #began = 0;
  #answer: Answer | null = null;
  #invocation: Invocation | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: CallOptions, random: () => number, pool: CallPool) {
    this.#options = options;
    this.#random = random;
    this.#pool = pool;
    this.#unsure = options.again;
  }

  get isOver(): boolean {
    return this.#over;
  }

  attempt(): void {
    const { invoker, record } = this.#options;
    if (this.#began === 0) this.#began = performance.now();
    this.#attempts++;
    this.#answer = null;
    try {
      const invocation = invoker.invoke([record], this, this.#fresh);
      // `answered` may have been called already.
      if (this.#answer === null) this.#invocation = invocation;
    } catch (error) {
      this.answered(invalidCall((error as Error).message));
    }
  }

  answered(answer: Answer): void {
    this.#answer = answer;
    this.#invocation = null;
    this.#pool.left(this);
    if (!this.#over) this.#conclude(answer);
  }

  /** Makes no further attempt. One in flight may end. */
  hurry(): void {
    this.#hurried = true;
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#end(this.#answer!, false);
  }

  /** Ends the call: its result is no longer wanted. */
  drop(): void {
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#invocation?.abort();
  }

  #conclude(answer: Answer): void {
    const { retry } = this.#options;
    const conclusion = answer.failed === null ? conclude(answer) : 'retry';
    if (conclusion === 'done') {
      this.#end(answer, true);
      return;
    }
    if (!isUndone(answer)) this.#unsure = true;
    this.#fresh = conclusion !== 'again';
    if (conclusion === 'again' || isThrottled(answer)) this.#attempts--;
    if (this.#hurried || conclusion === 'refused' || this.#attempts >= retry.attempts) {
      this.#end(answer, false);
      return;
    }
    const retryAfterMs = retryAfter(answer.retryAfter, Date.now(), retry.max);
    const wait =
      conclusion === 'again' ? RECONNECT_MS : retryWait(++this.#failures, retry, retryAfterMs, this.#random);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#pool.ready(this);
    }, wait);
  }

  #end(answer: Answer, done: boolean): void {
    this.#over = true;
    const ms = performance.now() - this.#began;
    const unsure = !done && this.#unsure;
    this.#options.ended({ answer, done, unsure, attempts: this.#attempts, ms });
  }
}

/** Whether an answer makes sure that nothing was done. */
function isUndone({ status, fault }: Answer): boolean {
  if (fault === 'unreachable' || fault === 'invalid_call') return true;
  if (fault === 'too_large') return status === null;
  return fault === null && status !== null && status >= 300 && status < 500 && status !== 408;
}
