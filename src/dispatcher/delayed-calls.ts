import { Queue } from '../consume/queue.ts';
import type { Call } from './call.ts';
import { returnToLane } from './lanes.ts';
import { firstOf } from './split.ts';

/** Calls between two attempts. They do not count against the concurrency. */
export class DelayedCalls {
  readonly #waiting = new Set<Call>();
  /** Calls whose wait is over. */
  readonly #due = new Queue<Call>();
  readonly #whenDue: () => void;
  #events = 0;

  constructor(whenDue: () => void) {
    this.#whenDue = whenDue;
  }

  /** Events of all calls that wait. */
  get events(): number {
    return this.#events;
  }

  /** The call may be begun in `ms` milliseconds. */
  delay(call: Call, ms: number): void {
    this.#events += call.deliveries.length;
    this.#waiting.add(call);
    call.timer = setTimeout(this.#over, ms, call);
  }

  /** The call may be begun now. */
  push(call: Call): void {
    this.#events += call.deliveries.length;
    this.#due.push(call);
  }

  /** A call whose wait is over, or undefined. */
  shift(): Call | undefined {
    const call = this.#due.shift();
    if (call !== undefined) this.#events -= call.deliveries.length;
    return call;
  }

  /** Takes the first call that is wanted of those whose wait is over, or returns undefined. */
  take(isWanted: (call: Call) => boolean): Call | undefined {
    let taken: Call | undefined;
    for (let left = this.#due.length; left > 0; left--) {
      const call = this.shift()!;
      if (taken === undefined && isWanted(call)) taken = call;
      else this.push(call);
    }
    return taken;
  }

  /** Splits a call that was waiting: returns a call with one event. The others go on waiting. */
  part(call: Call): Call {
    const { one, other, after } = firstOf(call);
    if (after) returnToLane(other);
    else this.push(other);
    return one;
  }

  clear(): void {
    this.#due.clear();
    for (const call of this.#waiting) if (call.timer !== null) clearTimeout(call.timer);
    this.#waiting.clear();
    this.#events = 0;
  }

  *[Symbol.iterator](): Generator<Call> {
    yield* this.#due;
    yield* this.#waiting;
  }

  readonly #over = (call: Call): void => {
    this.#waiting.delete(call);
    this.#due.push(call);
    this.#whenDue();
  };
}
