import type { Call } from './call.ts';
import { Queue } from './queue.ts';

/** Calls between two attempts; they hold no place meanwhile. */
export class Waiting {
  readonly #waiting = new Set<Call>();
  /** Their time has come. */
  readonly #due = new Queue<Call>();
  readonly #whenDue: () => void;

  constructor(whenDue: () => void) {
    this.#whenDue = whenDue;
  }

  /** The call may be begun in `ms` milliseconds. */
  delay(call: Call, ms: number): void {
    this.#waiting.add(call);
    call.timer = setTimeout(this.#over, ms, call);
  }

  /** The call may be begun now. */
  push(call: Call): void {
    this.#due.push(call);
  }

  /** A call whose wait is over, or undefined. */
  shift(): Call | undefined {
    return this.#due.shift();
  }

  clear(): void {
    this.#due.clear();
    for (const call of this.#waiting) if (call.timer !== null) clearTimeout(call.timer);
    this.#waiting.clear();
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
