import type { Claim } from '../../ports/dedupe-store.ts';

export interface RecentOptions {
  /** Most ids that are kept. */
  ids: number;
  /** Milliseconds for which an id is kept at most. */
  life: number;
}

/** Ids that came in one stretch of time; those of `lists` are not in `prints` yet. */
interface Half {
  prints: Map<string, number>;
  lists: (readonly Claim[])[];
  /** Of all of them. */
  size: number;
}

/**
 * The ids that this process has stored of late, with the checksums of their payloads: stops quick repeats while the
 * dedupe store cannot. Two halves, of which the older is dropped whole when the younger is full or old: so an id
 * is kept for at least half the life unless too many come after it. They are put in order when one is asked for:
 * as long as the store answers none is.
 */
export class Recent {
  readonly #options: RecentOptions;
  #young = emptyHalf();
  #old = emptyHalf();
  #since = performance.now();

  constructor(options: RecentOptions) {
    this.#options = options;
  }

  /** Takes a list that nobody changes any more. */
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
    return printsOf(this.#young).get(key) ?? printsOf(this.#old).get(key);
  }

  /** Drops what is too old; returns the time. */
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
  return { prints: new Map(), lists: [], size: 0 };
}

function printsOf({ prints, lists }: Half): Map<string, number> {
  for (const list of lists.splice(0)) for (const { key, print } of list) prints.set(key, print);
  return prints;
}
