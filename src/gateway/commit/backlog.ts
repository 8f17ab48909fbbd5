import type { Claim, DedupeStore } from '../../ports/dedupe-store.ts';

/** What one owner has stored. */
export interface Stored {
  claims: readonly Claim[];
  owner: string;
}

/** Ids kept at most: enough for a short outage, then the oldest go. */
const MOST_IDS = 20_000;
/** What is told in one round trip, so that a store that comes back can answer in time. */
const IDS_AT_ONCE = 1_000;
const CALLS_AT_ONCE = 50;
/** Milliseconds between attempts. */
const PAUSE = 1_000;

/** Ids that are stored while the dedupe store could not be told: it is told as soon as it answers. */
export class Backlog {
  readonly #dedupe: DedupeStore;
  #waiting: Stored[] = [];
  /** Of those waiting and those that the store is being told of. */
  #ids = 0;
  #telling: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(dedupe: DedupeStore) {
    this.#dedupe = dedupe;
  }

  get isEmpty(): boolean {
    return this.#ids === 0;
  }

  add(stored: Stored): void {
    this.#waiting.push(stored);
    this.#ids += stored.claims.length;
    let gone = 0;
    while (this.#ids > MOST_IDS) this.#ids -= this.#waiting[gone++]!.claims.length;
    if (gone > 0) this.#waiting.splice(0, gone);
    if (this.#telling === null) this.#timer ??= setTimeout(() => void this.#try(), PAUSE);
  }

  /** Tells the store now; resolves when it knows all or does not answer. Makes no attempt after that by itself. */
  async settle(): Promise<void> {
    await this.#telling;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#tell();
  }

  async #try(): Promise<void> {
    this.#timer = undefined;
    this.#telling = this.#tell();
    await this.#telling;
    this.#telling = null;
    if (!this.isEmpty) this.#timer ??= setTimeout(() => void this.#try(), PAUSE);
  }

  /** Until nothing is left, or the store fails. Does not reject. */
  async #tell(): Promise<void> {
    while (!this.isEmpty) {
      const part = this.#take();
      const failed: Stored[] = [];
      await Promise.all(
        part.map((stored) =>
          this.#dedupe.confirm(stored.claims, stored.owner).catch(() => failed.push(stored)),
        ),
      );
      for (const { claims } of part) this.#ids -= claims.length;
      for (const { claims } of failed) this.#ids += claims.length;
      this.#waiting.unshift(...failed);
      if (failed.length > 0) return;
    }
  }

  #take(): Stored[] {
    let ids = 0;
    let count = 0;
    while (count < this.#waiting.length && count < CALLS_AT_ONCE && ids < IDS_AT_ONCE) {
      ids += this.#waiting[count++]!.claims.length;
    }
    return this.#waiting.splice(0, count);
  }
}
