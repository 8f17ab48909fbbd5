/** Waits until nothing is in work. */
export class Idle {
  readonly #isIdle: () => boolean;
  #resolve: (() => void) | null = null;

  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** Resolves when nothing is in work. Only the last wait counts. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.changed();
    });
  }

  /** To be called when `isIdle` may have become true. */
  readonly changed = (): void => {
    if (this.#resolve === null || !this.#isIdle()) return;
    this.#resolve();
    this.#resolve = null;
  };
}
