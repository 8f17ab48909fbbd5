import type { Delivery } from './call.ts';
import type { Queue } from './queue.ts';

export interface BatchLimits {
  events: number;
  /** Milliseconds. */
  wait: number;
  /** Bytes. */
  size: number;
}

/** One event per call. */
export const SINGLE: BatchLimits = { events: 1, wait: 0, size: 0 };

/**
 * How many of the queued events the next call takes: as many as fit, once there are enough of them or the
 * first has waited long enough; else 0. An event that is too large for the size goes alone.
 */
export function batchLength(
  queue: Queue<Delivery>,
  { events, wait, size }: BatchLimits,
  now: number,
): number {
  if (queue.length === 0) return 0;
  if (events === 1) return 1;
  const most = Math.min(events, queue.length);
  let bytes = queue.at(0).size;
  let count = 1;
  while (count < most && bytes + queue.at(count).size <= size) bytes += queue.at(count++).size;
  const full = count === events || count < queue.length || bytes >= size;
  return full || now - queue.at(0).arrived >= wait ? count : 0;
}
