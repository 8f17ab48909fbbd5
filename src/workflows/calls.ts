import { Queue } from '../consume/queue.ts';
import { type Answer, conclude, invalidCall, isThrottled } from '../function/answer.ts';
import type { Caller, Invocation, Invoker } from '../function/invoker.ts';
import { type RetryPolicy, retryAfter, retryWait } from '../function/retry.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** What came of a call after its last attempt. */
export interface Ended {
  answer: Answer;
  done: boolean;
  /** Of one that is not done: it may have been all the same. */
  unsure: boolean;
  attempts: number;
  /** Milliseconds from its first attempt on. */
  ms: number;
}

export interface CallOptions {
  invoker: Invoker;
  record: StoredRecord;
  retry: RetryPolicy;
  /** It may have been made before, by a process that is gone. */
  again: boolean;
  ended(ended: Ended): void;
}

/** Milliseconds: long enough to see which other idle connections were closed too. */
const AGAIN_MS = 10;

/** Calls of a workflow, so many at once; the others wait for their turn. */
export class Calls {
  readonly #most: number;
  readonly #random: () => number;
  readonly #changed: () => void;
  readonly #ready = new Queue<StepCall>();
  readonly #inflight = new Set<StepCall>();
  #closed = false;

  /** `changed` is called when a call has left. */
  constructor(most: number, random: () => number, changed: () => void) {
    this.#most = most;
    this.#random = random;
    this.#changed = changed;
  }

  /** Calls that wait for a free place. */
  get waiting(): number {
    return this.#ready.length;
  }

  get inflight(): number {
    return this.#inflight.size;
  }

  begin(options: CallOptions): StepCall {
    const call = new StepCall(options, this.#random, {
      ready: (one) => this.#push(one),
      left: (one) => this.#left(one),
    });
    this.#push(call);
    return call;
  }

  /** Begins no more attempts; those on their way may end. */
  close(): void {
    this.#closed = true;
    this.#ready.clear();
  }

  #push(call: StepCall): void {
    if (this.#closed) return;
    this.#ready.push(call);
    this.#turn();
  }

  #turn(): void {
    while (this.#inflight.size < this.#most) {
      const call = this.#ready.shift();
      if (call === undefined) return;
      if (call.isOver) continue;
      this.#inflight.add(call);
      call.attempt();
    }
  }

  #left(call: StepCall): void {
    if (!this.#inflight.delete(call)) return;
    // Not at once: the connection still counts as busy while it tells how the call ended.
    queueMicrotask(() => {
      if (!this.#closed) this.#turn();
      this.#changed();
    });
  }
}

interface Place {
  ready(call: StepCall): void;
  left(call: StepCall): void;
}

/** One call over all its attempts. */
export class StepCall implements Caller {
  readonly #options: CallOptions;
  readonly #random: () => number;
  readonly #place: Place;
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

  constructor(options: CallOptions, random: () => number, place: Place) {
    this.#options = options;
    this.#random = random;
    this.#place = place;
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
      // The caller may have been told already.
      if (this.#answer === null) this.#invocation = invocation;
    } catch (error) {
      this.answered(invalidCall((error as Error).message));
    }
  }

  answered(answer: Answer): void {
    this.#answer = answer;
    this.#invocation = null;
    this.#place.left(this);
    if (!this.#over) this.#conclude(answer);
  }

  /** No further attempt is made; one on its way may end. */
  hurry(): void {
    this.#hurried = true;
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#end(this.#answer!, false);
  }

  /** Nobody wants to know any more. */
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
    const told = retryAfter(answer.retryAfter, Date.now(), retry.max);
    const wait = conclusion === 'again' ? AGAIN_MS : retryWait(++this.#failures, retry, told, this.#random);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#place.ready(this);
    }, wait);
  }

  #end(answer: Answer, done: boolean): void {
    this.#over = true;
    const ms = performance.now() - this.#began;
    const unsure = !done && this.#unsure;
    this.#options.ended({ answer, done, unsure, attempts: this.#attempts, ms });
  }
}

/** Whether an answer says for sure that nothing was done. */
function isUndone({ status, fault }: Answer): boolean {
  if (fault === 'unreachable' || fault === 'invalid_call') return true;
  if (fault === 'too_large') return status === null;
  return fault === null && status !== null && status >= 300 && status < 500 && status !== 408;
}
