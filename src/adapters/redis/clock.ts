/**
 * The clock of a server, guessed low: each answer tells what it showed at some moment before the answer
 * came, so that `server time - moment of arrival` is never above the true difference. The highest sample
 * is the best; it is forgotten after a while because clocks drift and are set.
 */
export class ServerClock {
  #difference = Number.NEGATIVE_INFINITY;
  #sampled = Number.NEGATIVE_INFINITY;

  /** Notes that an answer with the server's time (ms) arrived at `now` (ms of the local monotonic clock). */
  sample(server: number, now: number): void {
    const difference = server - now;
    if (difference < this.#difference && now - this.#sampled < 10_000) return;
    this.#difference = difference;
    this.#sampled = now;
  }

  /** What the server's clock will show at a local moment, or a little less; in whole ms. */
  at(local: number): number {
    return Math.floor(local + this.#difference);
  }

  /** Another server may have another clock. */
  reset(): void {
    this.#difference = Number.NEGATIVE_INFINITY;
    this.#sampled = Number.NEGATIVE_INFINITY;
  }
}
