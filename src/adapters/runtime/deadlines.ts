import { addPlaced, type Placed, removePlaced } from '../../core/placed.ts';

/** Work with a time limit. */
export interface Timed extends Placed {
  /** Whether it has to end at `now` (`performance.now()`). */
  isDue(now: number): boolean;
  /** Ends it; `now` is that of `isDue`. */
  expire(now: number): void;
}

/** The work in hand. */
export class Deadlines {
  readonly #list: Timed[] = [];

  add(timed: Timed): void {
    addPlaced(this.#list, timed);
  }

  delete(timed: Timed): void {
    removePlaced(this.#list, timed);
  }

  /** Expires all work that is due. `expire` may delete its own. */
  sweep(now: number): void {
    for (let i = this.#list.length - 1; i >= 0; i--)
      if (this.#list[i]!.isDue(now)) this.#list[i]!.expire(now);
  }
}
