/**
 * An estimate of a server's clock that is never too high. Each answer contains the server's time of a moment before its
 * arrival, so `server time - time of arrival` is at most the true difference. The highest sample is the best one. It is
 * replaced after 10 s, because clocks drift and are set.
 */
export class ServerClock {
  #difference = Number.NEGATIVE_INFINITY;
  #sampled = Number.NEGATIVE_INFINITY;

  /** Takes an answer's server time (ms), which arrived at `now` (ms of `performance.now()`). */
  sample(server: number, now: number): void {
    const difference = server - now;
    if (difference < this.#difference && now - this.#sampled < 10_000) return;
    this.#difference = difference;
    this.#sampled = now;
  }

  /** The server's time at a local time, or a little less; whole ms. */
  at(local: number): number {
    return Math.floor(local + this.#difference);
  }

  /** Forgets the samples: another server has another clock. */
  reset(): void {
    this.#difference = Number.NEGATIVE_INFINITY;
    this.#sampled = Number.NEGATIVE_INFINITY;
  }
}
