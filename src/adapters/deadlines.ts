/** Something that may be under way for too long. */
export interface Timed {
  /** Where it is in the list; kept by `Deadlines`. */
  place: number;
  /** Whether it has to end; `now` is on the clock of `performance.now()`. */
  isDue(now: number): boolean;
  /** `now` is that of `isDue`. */
  expire(now: number): void;
}

/**
 * What is under way. No Set: each time a Set makes itself a new table, V8 lets the old one point to it, and once
 * one of them is in the old generation, all that is ever added lives until the next full collection.
 */
export class Deadlines {
  readonly #list: Timed[] = [];

  add(timed: Timed): void {
    timed.place = this.#list.push(timed) - 1;
  }

  delete(timed: Timed): void {
    const last = this.#list.pop()!;
    if (last === timed) return;
    this.#list[timed.place] = last;
    last.place = timed.place;
  }

  /** Expires what is due; `expire` may delete the one that it is called for. */
  sweep(now: number): void {
    for (let i = this.#list.length - 1; i >= 0; i--)
      if (this.#list[i]!.isDue(now)) this.#list[i]!.expire(now);
  }
}
