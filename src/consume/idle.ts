/** Waits until nothing is in work. */
export class Idle {
  readonly #isIdle: () => boolean;
  #resolve: (() => void) | null = null;

  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** Resolves when nothing is in work, at the latest after `ms` milliseconds. */
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

  /** Something in work may be over. */
  readonly changed = (): void => {
    if (this.#resolve !== null && this.#isIdle()) this.#resolve();
  };
}
