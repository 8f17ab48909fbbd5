import type { Caller, Invocation, Invoker } from '../function/invoker.ts';
import { MAX_TIMER } from '../function/retry.ts';
import type { StoredRecord } from '../ports/event-log.ts';

export interface WarmOptions {
  invoker: Invoker;
  /** Milliseconds without calls. */
  after: number;
  /** From 0 to below 1. */
  random: () => number;
  /** False while calls are on their way, which keep an instance as well, and while the function is held to be down. */
  isQuiet(): boolean;
}

/**
 * The same invoker, which also calls a function that had no events for a while, so that an instance of it stays.
 * What the function answers to that, and how long it takes, is of no consequence.
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
    // It may be away: the next event will tell.
    await this.warm().catch(() => {});
    this.#isWarming = false;
  }

  /** Up to a quarter less: those of many processes must not come in step. */
  #nextWait(): number {
    const { after, random } = this.#options;
    return after * (1 - random() / 4);
  }
}
