import { addPlaced, type Placed, removePlaced } from '../../core/placed.ts';

/** Something that may be under way for too long. */
export interface Timed extends Placed {
  /** Whether it has to end; `now` is on the clock of `performance.now()`. */
  isDue(now: number): boolean;
  /** `now` is that of `isDue`. */
  expire(now: number): void;
}

/** What is under way. */
export class Deadlines {
  readonly #list: Timed[] = [];

  add(timed: Timed): void {
    addPlaced(this.#list, timed);
  }

  delete(timed: Timed): void {
    removePlaced(this.#list, timed);
  }

  /** Expires what is due; `expire` may delete the one that it is called for. */
  sweep(now: number): void {
    for (let i = this.#list.length - 1; i >= 0; i--)
      if (this.#list[i]!.isDue(now)) this.#list[i]!.expire(now);
  }
}
