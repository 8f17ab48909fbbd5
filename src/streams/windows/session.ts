import TinyQueue from 'tinyqueue';
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

/** A window of a key ends after `gap` ms without an event of that key. */
export class SessionWindows implements Windows {
  readonly #gap: number;
  readonly #aggregates: readonly Aggregate[];
  readonly #events: WindowEvents;
  /** The windows of each key in the order of their starts; nearly always one. */
  readonly #byKey = new Map<string, Window[]>();
  /** Each window once, by the end that it had when it was added. */
  readonly #ends = new TinyQueue<{ end: number; window: Window }>([], (a, b) => a.end - b.end);
  size = 0;

  constructor(gap: number, aggregates: readonly Aggregate[], events: WindowEvents) {
    this.#gap = gap;
    this.#aggregates = aggregates;
    this.#events = events;
  }

  get nextEnd(): number {
    return this.#ends.peek()?.end ?? Number.POSITIVE_INFINITY;
  }

  add(sample: Sample, watermark: number): boolean {
    const { key, time } = sample;
    const end = time + this.#gap;
    if (end <= watermark) return false;
    const windows = this.#byKey.get(key);
    // A window that has ended must not grow, even if its event was not emitted yet.
    for (const one of windows === undefined ? [] : [...windows]) if (one.end <= watermark) this.#end(one);
    const met = (this.#byKey.get(key) ?? []).filter((one) => time < one.end && end > one.start);
    const window = met[0] ?? this.#open(key, time, end);
    for (const later of met.slice(1)) {
      mergeInto(window, this.#aggregates, later);
      window.end = Math.max(window.end, later.end);
      window.fired ||= later.fired;
      this.#remove(later);
    }
    if (time < window.start) {
      // Its name says when it starts.
      this.#events.removed(window);
      window.start = time;
      window.name = nameOf(window);
    }
    window.end = Math.max(window.end, end);
    addTo(window, this.#aggregates, sample);
    this.#events.touched(window);
    this.#events.grew(window);
    return true;
  }

  opens({ key, time }: Sample, watermark: number): boolean {
    const end = time + this.#gap;
    return end > watermark && !this.#byKey.get(key)?.some((one) => time < one.end && end > one.start);
  }

  close(watermark: number): void {
    while (this.nextEnd <= watermark) {
      const { window } = this.#ends.pop()!;
      if (!this.#byKey.get(window.key)?.includes(window)) continue;
      if (window.end > watermark) this.#ends.push({ end: window.end, window });
      else this.#end(window);
    }
  }

  restore(name: string, value: string): void {
    const space = name.indexOf(' ');
    const { head, kept } = readWindow(value, this.#aggregates);
    const start = Number.parseInt(name.slice(0, space), 36);
    const window = this.#open(name.slice(space + 1), start, start + Number.parseInt(head[0]!, 36));
    Object.assign(window, kept);
  }

  *all(): Generator<Window> {
    for (const windows of this.#byKey.values()) yield* windows;
  }

  #open(key: string, start: number, end: number): Window {
    const window = openWindow(this.#aggregates, '', key, start, end);
    window.name = nameOf(window);
    const windows = this.#byKey.get(key);
    if (windows === undefined) this.#byKey.set(key, [window]);
    else {
      windows.push(window);
      windows.sort((a, b) => a.start - b.start);
    }
    this.#ends.push({ end, window });
    this.size++;
    return window;
  }

  #end(window: Window): void {
    this.#remove(window);
    this.#events.closed(window);
  }

  #remove(window: Window): void {
    const windows = this.#byKey.get(window.key)!;
    if (windows.length === 1) this.#byKey.delete(window.key);
    else windows.splice(windows.indexOf(window), 1);
    this.size--;
    this.#events.removed(window);
  }
}

function nameOf({ start, key }: Window): string {
  return `${start.toString(36)} ${key}`;
}
