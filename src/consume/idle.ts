/** Waits until nothing is in work. */
export class Idle {
  readonly #isIdle: () => boolean;
  #resolve: (() => void) | null = null;

  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** Resolves when nothing is in work, at `end`, or after `ms` milliseconds. */
  async wait(ms: number): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#resolve = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#resolve = null;
  }

  /** To be called when `isIdle` may have become true. */
  readonly changed = (): void => {
    if (this.#resolve !== null && this.#isIdle()) this.#resolve();
  };

  /** Ends the wait, if there is one. */
  end(): void {
    this.#resolve?.();
  }
}
