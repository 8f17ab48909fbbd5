import type { Aggregate } from '../aggregate.ts';
import {
  addTo,
  mergeInto,
  openWindow,
  readWindow,
  type Sample,
  type Window,
  type WindowEvents,
  type Windows,
} from './windows.ts';

/**
 * Windows of `size` ms, one of which ends each `every` ms, for `emit.on: close`. Each event is counted once, in a pane of
 * `every` ms. A window is made of its panes when it ends.
 */
export class SlidingWindows implements Windows {
  readonly #size: number;
  readonly #every: number;
  readonly #aggregates: readonly Aggregate[];
  readonly #events: WindowEvents;
  readonly #panes = new Map<number, Map<string, Window>>();
  /** All windows that end at this time or before are closed. */
  #closed: number;
  size = 0;

  /** `closed`: the watermark up to which windows were closed before. */
  constructor(
    span: { size: number; every: number },
    closed: number,
    aggregates: readonly Aggregate[],
    events: WindowEvents,
  ) {
    this.#size = span.size;
    this.#every = span.every;
    this.#closed = closed;
    this.#aggregates = aggregates;
    this.#events = events;
  }

  get nextEnd(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const start of this.#panes.keys()) next = Math.min(next, this.#endAfter(start));
    return next;
  }

  add(sample: Sample, watermark: number): boolean {
    const start = Math.floor(sample.time / this.#every) * this.#every;
    if (start + this.#size <= watermark) return false;
    // The event is too late for some of its windows: they are closed before it is added.
    if (start + this.#every <= watermark) this.close(watermark);
    const pane = this.#find(start, sample.key);
    addTo(pane, this.#aggregates, sample);
    this.#events.touched(pane);
    return true;
  }

  opens({ time, key }: Sample, watermark: number): boolean {
    const start = Math.floor(time / this.#every) * this.#every;
    return start + this.#size > watermark && !this.#panes.get(start)?.has(key);
  }

  close(watermark: number): void {
    for (let end = this.nextEnd; end <= watermark; end = this.nextEnd) {
      this.#closed = end;
      this.#closeWindows(end - this.#size, end);
      const oldest = this.#panes.get(end - this.#size);
      if (oldest === undefined) continue;
      this.#panes.delete(end - this.#size);
      this.size -= oldest.size;
      for (const pane of oldest.values()) this.#events.removed(pane);
    }
    this.#closed = Math.max(this.#closed, watermark);
  }

  restore(name: string, value: string): void {
    const space = name.indexOf(' ');
    const pane = this.#find(Number.parseInt(name.slice(0, space), 36), name.slice(space + 1));
    Object.assign(pane, readWindow(value, this.#aggregates).kept);
  }

  *all(): Generator<Window> {
    for (const panes of this.#panes.values()) yield* panes.values();
  }

  /** The end of the first window over the pane at `start` that is not closed. */
  #endAfter(start: number): number {
    const first = start + this.#every;
    if (first > this.#closed) return first;
    return first + (Math.floor((this.#closed - first) / this.#every) + 1) * this.#every;
  }

  #closeWindows(start: number, end: number): void {
    const windows = new Map<string, Window>();
    for (let at = start; at < end; at += this.#every) {
      for (const [key, pane] of this.#panes.get(at) ?? []) {
        let window = windows.get(key);
        if (window === undefined) {
          window = openWindow(this.#aggregates, '', key, start, end);
          windows.set(key, window);
        }
        mergeInto(window, this.#aggregates, pane);
      }
    }
    for (const window of windows.values()) this.#events.closed(window);
  }

  #find(start: number, key: string): Window {
    let panes = this.#panes.get(start);
    if (panes === undefined) {
      panes = new Map();
      this.#panes.set(start, panes);
    }
    let pane = panes.get(key);
    if (pane === undefined) {
      pane = openWindow(this.#aggregates, `${start.toString(36)} ${key}`, key, start, start + this.#every);
      panes.set(key, pane);
      this.size++;
    }
    return pane;
  }
}
