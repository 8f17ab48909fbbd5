import type { Queue } from '../consume/queue.ts';
import type { Delivery } from './call.ts';
import { advance } from './lanes.ts';

export interface BatchLimits {
  events: number;
  /** Milliseconds. */
  wait: number;
  /** Bytes. */
  size: number;
}

/** A call has one event. */
export const SINGLE: BatchLimits = { events: 1, wait: 0, size: 0 };

/**
 * How many events the next call takes: as many as fit, once there are enough of them or one has waited long enough;
 * else 0. An event that is larger than the size goes alone. Of each lane, the queue holds the first event.
 */
export function batchLength(
  queue: Queue<Delivery>,
  { events, wait, size }: BatchLimits,
  now: number,
): number {
  if (events === 1) return Math.min(1, queue.length);
  let count = 0;
  let bytes = 0;
  for (let i = 0; i < queue.length; i++) {
    for (let one: Delivery | null = queue.at(i); one !== null; one = one.behind) {
      if (count > 0 && bytes + one.share > size) return count;
      count++;
      bytes += one.share;
      if (count === events || bytes >= size) return count;
    }
  }
  return count > 0 && oldestArrival(queue) + wait <= now ? count : 0;
}

/** When the oldest of the queued events was read, on the monotonic clock. The queue must not be empty. */
export function oldestArrival(queue: Queue<Delivery>): number {
  // Without lanes the first is the oldest. A lane that was busy comes back with old events.
  let oldest = queue.at(0).arrived;
  for (let i = 1; i < queue.length; i++) oldest = Math.min(oldest, queue.at(i).arrived);
  return oldest;
}

/** Takes `length` events, those of one lane together and in order. */
export function takeBatch(queue: Queue<Delivery>, length: number): Delivery[] {
  const taken: Delivery[] = [];
  while (taken.length < length) {
    const head = queue.shift()!;
    if (head.lane === null) taken.push(head);
    else {
      do taken.push(advance(head.lane));
      while (head.lane.first !== null && taken.length < length);
    }
  }
  return taken;
}

/** Takes the event that was queued last. The queue must not be empty. */
export function takeNewest(queue: Queue<Delivery>): Delivery[] {
  const head = queue.pop()!;
  return [head.lane === null ? head : advance(head.lane)];
}
