import TinyQueue from 'tinyqueue';
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

/** Windows of `size` ms. One begins each `every` ms since 1970; they are tumbling windows when both are the same. */
export class FixedWindows implements Windows {
  readonly #size: number;
  readonly #every: number;
  readonly #aggregates: readonly Aggregate[];
  readonly #events: WindowEvents;
  /** By start, then by key: windows of one start end together. */
  readonly #byStart = new Map<number, Map<string, Window>>();
  readonly #starts = new TinyQueue<number>();
  size = 0;

  constructor(span: { size: number; every: number }, aggregates: readonly Aggregate[], events: WindowEvents) {
    this.#size = span.size;
    this.#every = span.every;
    this.#aggregates = aggregates;
    this.#events = events;
  }

  get nextEnd(): number {
    return (this.#starts.peek() ?? Number.POSITIVE_INFINITY) + this.#size;
  }

  add(sample: Sample, watermark: number): boolean {
    const { time } = sample;
    const newest = Math.floor(time / this.#every) * this.#every;
    let isTaken = false;
    for (let start = newest; start > time - this.#size; start -= this.#every) {
      if (start + this.#size <= watermark) break;
      isTaken = true;
      const window = this.#find(start, sample.key);
      addTo(window, this.#aggregates, sample);
      this.#events.touched(window);
      this.#events.grew(window);
    }
    return isTaken;
  }

  opens({ time, key }: Sample, watermark: number): boolean {
    const newest = Math.floor(time / this.#every) * this.#every;
    for (
      let start = newest;
      start > time - this.#size && start + this.#size > watermark;
      start -= this.#every
    )
      if (!this.#byStart.get(start)?.has(key)) return true;
    return false;
  }

  close(watermark: number): void {
    while (this.nextEnd <= watermark) {
      const start = this.#starts.pop()!;
      const windows = this.#byStart.get(start)!;
      this.#byStart.delete(start);
      this.size -= windows.size;
      for (const window of windows.values()) {
        this.#events.removed(window);
        this.#events.closed(window);
      }
    }
  }

  restore(name: string, value: string): void {
    const space = name.indexOf(' ');
    const window = this.#find(Number.parseInt(name.slice(0, space), 36), name.slice(space + 1));
    Object.assign(window, readWindow(value, this.#aggregates).kept);
  }

  *all(): Generator<Window> {
    for (const windows of this.#byStart.values()) yield* windows.values();
  }

  #find(start: number, key: string): Window {
    let windows = this.#byStart.get(start);
    if (windows === undefined) {
      windows = new Map();
      this.#byStart.set(start, windows);
      this.#starts.push(start);
    }
    let window = windows.get(key);
    if (window === undefined) {
      window = openWindow(this.#aggregates, `${start.toString(36)} ${key}`, key, start, start + this.#size);
      windows.set(key, window);
      this.size++;
    }
    return window;
  }
}
