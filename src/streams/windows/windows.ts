import type { Aggregate } from '../aggregate.ts';

/** An open window of a key, or a pane of one. */
export interface Window {
  key: string;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  /** States of the aggregates. */
  states: unknown[];
  /** Its event was emitted already, with `on: threshold`. */
  fired: boolean;
  /** Its name in the store. */
  name: string;
  /** It has changed since it was stored. */
  dirty: boolean;
  /** Its part of the emitted event's id, different for each window of the key; null: its start. */
  id: string | null;
  /** The most hops of its events. */
  hops: number;
}

/** One event for the windows. */
export interface Sample {
  key: string;
  /** Milliseconds since 1970. */
  time: number;
  /** The values for the aggregates, in their order. */
  values: unknown[];
  /** Its position in the log: the id of a window of a count that begins with it. */
  position: string;
  /** How many functions and streams it has been through since it came in from outside. */
  hops: number;
}

/** The open windows of a partition. The result depends only on the order of the events, never on when `close` is called. */
export interface Windows {
  /** False when all its windows are closed at this watermark: the event is late. */
  add(sample: Sample, watermark: number): boolean;
  /** Whether `add` would open a window, once the windows that end at the watermark are closed. */
  opens(sample: Sample, watermark: number): boolean;
  /** Closes all windows that end at the watermark or before. */
  close(watermark: number): void;
  /** When the next window ends, in ms since 1970; Infinity when none ends by time. */
  readonly nextEnd: number;
  /** Windows that are open. */
  readonly size: number;
  /** Restores a window from an entry of the store. */
  restore(name: string, value: string): void;
  /** All windows, to write them to a store that has lost them. */
  all(): Iterable<Window>;
}

/** Called when windows change. */
export interface WindowEvents {
  /** The window has changed and must be stored. */
  touched(window: Window): void;
  /** The window is to be removed from the store. */
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

/** A window's states as the store keeps them; `head`: its other fields. */
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
    // A number needs no JSON.
    text += `\t${typeof written === 'number' ? written : JSON.stringify(written)}`;
  }
  return text;
}

/** The inverse of `writeWindow`. Throws an Error on a text that it did not write. */
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
