import type { Aggregate } from '../aggregate.ts';
import {
  addTo,
  openWindow,
  readWindow,
  type Sample,
  type Window,
  type WindowEvents,
  type Windows,
} from './windows.ts';

/** A window of a key ends with its nth event of that key. */
export class CountedWindows implements Windows {
  readonly #count: number;
  readonly #aggregates: readonly Aggregate[];
  readonly #events: WindowEvents;
  readonly #byKey = new Map<string, { window: Window; count: number }>();
  readonly nextEnd = Number.POSITIVE_INFINITY;

  constructor(count: number, aggregates: readonly Aggregate[], events: WindowEvents) {
    this.#count = count;
    this.#aggregates = aggregates;
    this.#events = events;
  }

  get size(): number {
    return this.#byKey.size;
  }

  add(sample: Sample): boolean {
    const { key, time } = sample;
    let held = this.#byKey.get(key);
    if (held === undefined) {
      held = { window: openWindow(this.#aggregates, key, key, time, time), count: 0 };
      held.window.id = sample.position;
      this.#byKey.set(key, held);
    }
    const { window } = held;
    window.start = Math.min(window.start, time);
    window.end = Math.max(window.end, time);
    addTo(window, this.#aggregates, sample);
    held.count++;
    this.#events.touched(window);
    this.#events.grew(window);
    if (held.count < this.#count) return true;
    this.#byKey.delete(key);
    this.#events.removed(window);
    this.#events.closed(window);
    return true;
  }

  opens({ key }: Sample): boolean {
    return !this.#byKey.has(key);
  }

  close(): void {}

  /** The fields that the store keeps of a window beside its states. */
  headOf({ key, id, start, end }: Window): (string | number)[] {
    return [this.#byKey.get(key)!.count, id!, start, end];
  }

  restore(name: string, value: string): void {
    const { head, kept } = readWindow(value, this.#aggregates);
    const [count, id, start, end] = head as [string, string, string, string];
    const window = openWindow(this.#aggregates, name, name, Number(start), Number(end));
    Object.assign(window, kept);
    window.id = id;
    this.#byKey.set(name, { window, count: Number(count) });
  }

  *all(): Generator<Window> {
    for (const { window } of this.#byKey.values()) yield window;
  }
}
