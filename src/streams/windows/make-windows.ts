import { createHash } from 'node:crypto';
import type { StreamConfig } from '../../config/stream/types.ts';
import type { Aggregate } from '../aggregate.ts';
import { CountedWindows } from './counted.ts';
import { FixedWindows } from './fixed.ts';
import { SessionWindows } from './session.ts';
import { SlidingWindows } from './sliding.ts';
import { type Window, type WindowEvents, type Windows, writeWindow } from './windows.ts';

/** The windows of a partition, and the text that the store keeps of one of them. */
export interface MadeWindows {
  windows: Windows;
  write(window: Window): string;
}

/** `closed`: the watermark up to which windows were closed before. */
export function makeWindows(
  { window: kind, emit }: StreamConfig,
  closed: number,
  aggregates: readonly Aggregate[],
  events: WindowEvents,
): MadeWindows {
  const headless = (window: Window) => writeWindow(window, aggregates, []);
  if ('session' in kind) {
    const windows = new SessionWindows(kind.session, aggregates, events);
    return {
      windows,
      write: (window) => writeWindow(window, aggregates, [(window.end - window.start).toString(36)]),
    };
  }
  if ('count' in kind) {
    const windows = new CountedWindows(kind.count, aggregates, events);
    return { windows, write: (window) => writeWindow(window, aggregates, windows.headOf(window)) };
  }
  const span =
    'sliding' in kind
      ? { size: kind.sliding, every: kind.every }
      : { size: kind.tumbling, every: kind.tumbling };
  // With panes the results of a window are known only when it ends.
  const hasPanes = span.size !== span.every && emit.on === 'close';
  const windows = hasPanes
    ? new SlidingWindows(span, closed, aggregates, events)
    : new FixedWindows(span, aggregates, events);
  return { windows, write: headless };
}

/** A digest of the parts of a stream's definition that its state depends on. */
export function definitionOf({ topics, key, window, time, aggregate, emit }: StreamConfig): string {
  const text = JSON.stringify([topics, key, window, time, Object.entries(aggregate), emit.on]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 6);
}

/** The longest time that a window is open without further events, in ms. */
export function spanOf({ window: kind }: StreamConfig): number {
  if ('tumbling' in kind) return kind.tumbling;
  if ('sliding' in kind) return kind.sliding;
  return 'session' in kind ? kind.session : 0;
}
