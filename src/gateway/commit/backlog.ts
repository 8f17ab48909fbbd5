import type { Claim, DedupeStore } from '../../ports/dedupe-store.ts';

/** Ids that one owner has stored. */
export interface Stored {
  claims: readonly Claim[];
  owner: string;
}

/** Most ids that are kept: enough for a short outage. Then the oldest are dropped. */
const MAX_IDS = 20_000;
/** Most ids and calls in one round trip, so that a store that comes back can answer in time. */
const IDS_AT_ONCE = 1_000;
const CALLS_AT_ONCE = 50;
/** Milliseconds between attempts. */
const RETRY_MS = 1_000;

/** Ids that were stored while the dedupe store did not answer. They are confirmed as soon as it answers. */
export class Backlog {
  readonly #dedupe: DedupeStore;
  #waiting: Stored[] = [];
  /** Number of ids that wait or are being confirmed. */
  #ids = 0;
  #confirming: Promise<void> | null = null;
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
    while (this.#ids > MAX_IDS) this.#ids -= this.#waiting[gone++]!.claims.length;
    if (gone > 0) this.#waiting.splice(0, gone);
    if (this.#confirming === null) this.#timer ??= setTimeout(() => void this.#try(), RETRY_MS);
  }

  /** Confirms all ids now. Resolves when that is done or the store does not answer. Makes no attempts after that. */
  async finish(): Promise<void> {
    await this.#confirming;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#confirm();
  }

  async #try(): Promise<void> {
    this.#timer = undefined;
    this.#confirming = this.#confirm();
    await this.#confirming;
    this.#confirming = null;
    if (!this.isEmpty) this.#timer ??= setTimeout(() => void this.#try(), RETRY_MS);
  }

  /** Confirms ids until none is left or the store fails. Does not reject. */
  async #confirm(): Promise<void> {
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
