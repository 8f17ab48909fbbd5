import { setImmediate as nextRound } from 'node:timers/promises';

/** Milliseconds of work in one round of the event loop after which more of it waits. */
const ROUND_MS = 10;
/** Milliseconds of waiting work that is done at once, at least. */
const SHARE_MS = 2;
/** Most rounds between two such shares. In each the loop accepts one connection of each socket, and reads. */
const ROUNDS = 4;
/** Milliseconds after which no further round is waited for. */
const ROUNDS_MS = 8;

/**
 * Shares the event loop out among clients. The first requests of a round of the loop work at once. When the round has
 * lasted for some time, further requests wait, and the clients that wait take turns. So a client with hundreds of
 * requests holds up the others by a round or two, not by all of its requests.
 */
export class Turns {
  /** When the work of this round began; 0: it has not. */
  #began = 0;
  #waiting = 0;
  #serving = false;
  /** By client; the one whose turn it is comes first. */
  readonly #queues = new Map<string, (() => void)[]>();
  readonly #endRound = () => {
    this.#began = 0;
  };

  /** Null when there is time for a request of the client now, else resolves when there is. */
  enter(client: string): Promise<void> | null {
    if (this.#serving) return this.next(client);
    const now = performance.now();
    if (this.#began === 0) {
      this.#began = now;
      setImmediate(this.#endRound);
    }
    return now - this.#began < ROUND_MS ? null : this.next(client);
  }

  /** Resolves when it is the client's turn again. */
  next(client: string): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#queues.get(client);
      if (queue === undefined) this.#queues.set(client, [resolve]);
      else queue.push(resolve);
      this.#waiting++;
      if (!this.#serving) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#serving = true;
    while (this.#waiting > 0) {
      const before = performance.now();
      let started = before;
      for (let i = 0; i < ROUNDS && started - before < ROUNDS_MS; i++) {
        await nextRound();
        started = performance.now();
      }
      // When reading takes long, work gets as much time as reading.
      const share = Math.max(SHARE_MS, Math.min(started - before, ROUND_MS));
      do {
        this.#give();
        // Lets the request that was resolved do its work first.
        for (let i = 0; i < 4; i++) await null;
      } while (this.#waiting > 0 && performance.now() - started < share);
    }
    this.#serving = false;
  }

  #give(): void {
    const [client, queue] = this.#queues.entries().next().value!;
    const resolve = queue.shift()!;
    this.#queues.delete(client);
    if (queue.length > 0) this.#queues.set(client, queue);
    this.#waiting--;
    resolve();
  }
}
