import { type BatchLimits, batchLength } from './batch.ts';
import type { Breaker } from './breaker.ts';
import type { Delivery } from './call.ts';
import type { Deliverer } from './deliver.ts';
import { Queue } from './queue.ts';

/** Events that no call was made for yet, and which call begins next. */
export class Feed {
  readonly #limits: BatchLimits;
  readonly #breaker: Breaker;
  readonly #due: () => void;
  readonly #queue = new Queue<Delivery>();
  #batchTimer: NodeJS.Timeout | null = null;
  #probeTimer: NodeJS.Timeout | null = null;

  /** Tells `due` when a call may begin that could not before, because its time has come. */
  constructor(limits: BatchLimits, breaker: Breaker, due: () => void) {
    this.#limits = limits;
    this.#breaker = breaker;
    this.#due = due;
  }

  /** While the function is down, one new event is enough: it may be the next probe. */
  get wantsMore(): boolean {
    return !this.#breaker.isOpen || this.#queue.length === 0;
  }

  push(delivery: Delivery): void {
    this.#queue.push(delivery);
  }

  clear(): void {
    this.#queue.clear();
    for (const timer of [this.#batchTimer, this.#probeTimer]) if (timer !== null) clearTimeout(timer);
    this.#batchTimer = null;
    this.#probeTimer = null;
  }

  [Symbol.iterator](): Iterator<Delivery> {
    return this.#queue[Symbol.iterator]();
  }

  /** Begins the next call; false when there is none to begin now. */
  begin(deliverer: Deliverer): boolean {
    const { wait, isOpen, wantsNew } = this.#breaker;
    if (wait > 0) {
      if (wait !== Number.POSITIVE_INFINITY) this.#probeTimer ??= setTimeout(this.#probeDue, Math.ceil(wait));
      return false;
    }
    if (isOpen && wantsNew && this.#beginNew(deliverer)) return true;
    const again = deliverer.due();
    if (again === undefined) return this.#beginNew(deliverer);
    deliverer.begin(again);
    return true;
  }

  #beginNew(deliverer: Deliverer): boolean {
    const now = performance.now();
    const length = batchLength(this.#queue, this.#limits, now);
    if (length > 0) {
      deliverer.deliver(Array.from({ length }, () => this.#queue.shift()!));
      return true;
    }
    if (this.#queue.length > 0) {
      const wait = this.#queue.at(0).arrived + this.#limits.wait - now;
      this.#batchTimer ??= setTimeout(this.#batchDue, Math.ceil(wait));
    }
    return false;
  }

  readonly #batchDue = (): void => {
    this.#batchTimer = null;
    this.#due();
  };

  readonly #probeDue = (): void => {
    this.#probeTimer = null;
    this.#due();
  };
}
