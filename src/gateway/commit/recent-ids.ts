import type { Claim } from '../../ports/dedupe-store.ts';

export interface RecentOptions {
  /** Most ids that are kept. */
  ids: number;
  /** Most milliseconds that an id is kept. */
  life: number;
}

/** Ids of one stretch of time. Those of `lists` are not in `checksums` yet. */
interface Half {
  checksums: Map<string, number>;
  lists: (readonly Claim[])[];
  /** Number of ids in both. */
  size: number;
}

/**
 * The ids that this process stored lately, with the checksums of their payloads. They stop quick repeats while the
 * dedupe store does not answer. There are two halves; the older one is dropped as a whole when the younger one is full
 * or old. So an id is kept for at least half of `life`, unless too many others follow. Ids go into a map at the first
 * `find` only: while the store answers there is none.
 */
export class RecentIds {
  readonly #options: RecentOptions;
  #young = emptyHalf();
  #old = emptyHalf();
  #since = performance.now();

  constructor(options: RecentOptions) {
    this.#options = options;
  }

  /** Keeps the list itself, which must not change any more. */
  add(claims: readonly Claim[]): void {
    const now = this.#turn();
    const most = this.#options.ids / 2;
    for (let rest = claims; rest.length > 0; ) {
      if (this.#young.size >= most) this.#drop(now);
      const room = most - this.#young.size;
      const part = rest.length > room ? rest.slice(0, room) : rest;
      this.#young.lists.push(part);
      this.#young.size += part.length;
      rest = rest.slice(part.length);
    }
  }

  /** The checksum of the payload stored under an id; undefined when the id is not known. */
  find(key: string): number | undefined {
    this.#turn();
    return checksumsOf(this.#young).get(key) ?? checksumsOf(this.#old).get(key);
  }

  /** Drops ids that are too old. Returns the time. */
  #turn(): number {
    const now = performance.now();
    const half = this.#options.life / 2;
    const age = now - this.#since;
    if (age >= 2 * half) {
      this.#young = emptyHalf();
      this.#drop(now);
    } else if (age >= half) this.#drop(this.#since + half);
    return now;
  }

  #drop(since: number): void {
    this.#old = this.#young;
    this.#young = emptyHalf();
    this.#since = since;
  }
}

function emptyHalf(): Half {
  return { checksums: new Map(), lists: [], size: 0 };
}

function checksumsOf({ checksums, lists }: Half): Map<string, number> {
  for (const list of lists.splice(0)) for (const { key, checksum } of list) checksums.set(key, checksum);
  return checksums;
}
