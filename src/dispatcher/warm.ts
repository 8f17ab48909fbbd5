import type { Caller, Invocation, Invoker } from '../function/invoker.ts';
import { MAX_TIMER } from '../function/retry.ts';
import type { StoredRecord } from '../ports/event-log.ts';

export interface WarmOptions {
  invoker: Invoker;
  /** Milliseconds without calls. */
  after: number;
  /** From 0 to below 1. */
  random: () => number;
  /** False while calls are in flight, which keep an instance as well, and while the breaker is open. */
  isQuiet(): boolean;
}

/**
 * An invoker that also calls a function which had no events for a while, so that an instance of it stays. The answer
 * to that call does not matter, nor how long it takes.
 */
export class WarmInvoker implements Invoker {
  readonly #options: WarmOptions;
  #last = performance.now();
  #wait: number;
  #isWarming = false;
  #timer: NodeJS.Timeout;

  constructor(options: WarmOptions) {
    this.#options = options;
    this.#wait = this.#nextWait();
    this.#timer = setTimeout(this.#due, Math.min(MAX_TIMER, this.#wait));
  }

  invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation {
    this.#last = performance.now();
    return this.#options.invoker.invoke(records, caller, fresh);
  }

  sizeOf(record: StoredRecord): number {
    return this.#options.invoker.sizeOf(record);
  }

  warm(): Promise<void> {
    return this.#options.invoker.warm();
  }

  close(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#options.invoker.close();
  }

  readonly #due = (): void => {
    const now = performance.now();
    if (!this.#options.isQuiet()) this.#last = now;
    else if (now - this.#last >= this.#wait && !this.#isWarming) {
      this.#last = now;
      this.#wait = this.#nextWait();
      void this.#warm();
    }
    const rest = Math.max(1, Math.ceil(this.#last + this.#wait - now));
    this.#timer = setTimeout(this.#due, Math.min(MAX_TIMER, rest));
  };

  async #warm(): Promise<void> {
    this.#isWarming = true;
    // The function may be down: the next event will show it.
    await this.warm().catch(() => {});
    this.#isWarming = false;
  }

  /** Up to a quarter less, so that many processes do not call at the same moment. */
  #nextWait(): number {
    const { after, random } = this.#options;
    return after * (1 - random() / 4);
  }
}
