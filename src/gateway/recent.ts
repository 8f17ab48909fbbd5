import type { Claim } from '../ports/dedupe-store.ts';

export interface RecentOptions {
  /** Most ids that are kept. */
  ids: number;
  /** Milliseconds for which an id is kept at most. */
  life: number;
}

/**
 * The ids that this process has stored of late, with the checksums of their payloads: stops quick repeats while the
 * dedupe store cannot. Two halves, of which the older is dropped whole when the younger is full or old: so an id
 * costs no more than an insertion, and is kept for at least half the life unless too many come after it.
 */
export class Recent {
  readonly #options: RecentOptions;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #since = performance.now();

  constructor(options: RecentOptions) {
    this.#options = options;
  }

  add(claims: readonly Claim[]): void {
    const now = this.#turn();
    for (const { key, print } of claims) {
      if (this.#young.size >= this.#options.ids / 2) this.#drop(now);
      this.#young.set(key, print);
    }
  }

  /** The checksum of the payload stored under an id; undefined when the id is not known. */
  find(key: string): number | undefined {
    this.#turn();
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Drops what is too old; returns the time. */
  #turn(): number {
    const now = performance.now();
    const half = this.#options.life / 2;
    const age = now - this.#since;
    if (age >= 2 * half) {
      this.#young.clear();
      this.#drop(now);
    } else if (age >= half) this.#drop(this.#since + half);
    return now;
  }

  #drop(since: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#since = since;
  }
}
