import type { Aggregate } from './aggregate.ts';

/** A window of a key that is open, or part of one. */
export interface Window {
  key: string;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  /** States of the aggregates. */
  states: unknown[];
  /** It was told of already: `on: threshold`. */
  fired: boolean;
  /** Its name in the store, and whether the store has to hear of it. */
  name: string;
  dirty: boolean;
  /** What tells it from other windows of the key; null: its start. */
  id: string | null;
  /** The most hops of its events. */
  hops: number;
}

/** An event as the windows take it. */
export interface Sample {
  key: string;
  /** Milliseconds since 1970. */
  time: number;
  /** What the aggregates are of. */
  values: unknown[];
  /** Where it was read: tells windows of a count apart. */
  place: string;
  /** How many answers and windows lie between it and what came in from outside. */
  hops: number;
}

/** The open windows of a part. What becomes of an event depends on the events before it alone, never on when `close` is called. */
export interface Windows {
  /** False when all its windows are closed at this watermark: the event is late. */
  add(sample: Sample, watermark: number): boolean;
  /** Whether `add` would open a window, after what ends at the watermark is closed. */
  opens(sample: Sample, watermark: number): boolean;
  /** Closes what ends at the watermark or before; those that are due already are told of too. */
  close(watermark: number): void;
  /** Milliseconds since 1970 when the next window ends; infinite when none will by itself. */
  readonly nextEnd: number;
  /** Windows that are open. */
  readonly size: number;
  /** Takes an entry of the store. */
  restore(name: string, value: string): void;
  /** All windows, for a store that has lost them. */
  all(): Iterable<Window>;
}

/** Told of what happens to windows. */
export interface WindowEvents {
  /** It has changed: the store must hear of it. */
  touched(window: Window): void;
  /** It goes from the store; nothing else is said of it. */
  removed(window: Window): void;
  /** A window has ended, with its states. */
  closed(window: Window): void;
  /** An event was added to this window, which is still open. */
  grew(window: Window): void;
}

export function openWindow(
  aggregates: readonly Aggregate[],
  name: string,
  key: string,
  start: number,
  end: number,
): Window {
  return {
    key,
    start,
    end,
    states: aggregates.map((one) => one.empty()),
    fired: false,
    name,
    dirty: false,
    id: null,
    hops: 0,
  };
}

export function addTo(
  window: Window,
  aggregates: readonly Aggregate[],
  { values, time, hops }: Sample,
): void {
  const { states } = window;
  window.hops = Math.max(window.hops, hops);
  for (let i = 0; i < states.length; i++) states[i] = aggregates[i]!.add(states[i], values[i], time);
}

/** Merges the later window's states into those of the earlier one. */
export function mergeInto(window: Window, aggregates: readonly Aggregate[], later: Window): void {
  const { states } = window;
  window.hops = Math.max(window.hops, later.hops);
  for (let i = 0; i < states.length; i++) states[i] = aggregates[i]!.merge(states[i], later.states[i]);
}

/** A window's states as the store keeps them; `head`: what else must be kept of it. */
export function writeWindow(
  window: Window,
  aggregates: readonly Aggregate[],
  head: (string | number)[],
): string {
  let text = window.fired ? '!' : '';
  if (window.hops > 0) text += `>${window.hops}>`;
  text += head.join(' ');
  for (let i = 0; i < aggregates.length; i++) {
    const written = aggregates[i]!.write(window.states[i]);
    // A number is short as it is; JSON holds all others.
    text += `\t${typeof written === 'number' ? written : JSON.stringify(written)}`;
  }
  return text;
}

/** The inverse of `writeWindow`. Throws on what that did not write. */
export function readWindow(
  value: string,
  aggregates: readonly Aggregate[],
): { head: string[]; kept: Pick<Window, 'states' | 'fired' | 'hops'> } {
  const [first = '', ...written] = value.split('\t');
  const [, fired, hops, head] = /^(!?)(?:>(\d+)>)?(.*)$/.exec(first)!;
  if (written.length !== aggregates.length) throw new Error('the state is that of other aggregates');
  return {
    head: head === '' ? [] : head!.split(' '),
    kept: {
      states: aggregates.map((one, i) => one.read(JSON.parse(written[i]!))),
      fired: fired === '!',
      hops: Number(hops ?? 0),
    },
  };
}
