import { Queue } from '../consume/queue.ts';
import { type CallOptions, StepCall } from './step-call.ts';

/** The calls of a workflow: at most `limit` are in flight, and the others wait for their turn. */
export class Calls {
  readonly #limit: number;
  readonly #random: () => number;
  readonly #changed: () => void;
  readonly #ready = new Queue<StepCall>();
  readonly #inflight = new Set<StepCall>();
  #closed = false;

  /** `changed` is called when a call has ended. */
  constructor(limit: number, random: () => number, changed: () => void) {
    this.#limit = limit;
    this.#random = random;
    this.#changed = changed;
  }

  /** Calls that wait for their turn. */
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

  /** Begins no more attempts. Those in flight may end. */
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
    while (this.#inflight.size < this.#limit) {
      const call = this.#ready.shift();
      if (call === undefined) return;
      if (call.isOver) continue;
      this.#inflight.add(call);
      call.attempt();
    }
  }

  #left(call: StepCall): void {
    if (!this.#inflight.delete(call)) return;
    // Not at once: undici counts a connection as busy until its callback has returned.
    queueMicrotask(() => {
      if (!this.#closed) this.#turn();
      this.#changed();
    });
  }
}
