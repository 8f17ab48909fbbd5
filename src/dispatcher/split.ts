import type { Call, Delivery } from './call.ts';

/** Two calls instead of one that failed. */
export interface Halves {
  one: Call;
  other: Call;
  /** `other` begins with the rest of a lane, and must wait for the events of that lane in `one`. */
  after: boolean;
}

/**
 * Halves a call with several events, so that an event that fails in every batch is alone after `2·⌈log2(events)⌉` more
 * calls. The events of one lane stay together, so that no half waits for the other, unless a half became too large.
 */
export function halves(call: Call): Halves {
  const { deliveries } = call;
  const sorted = laneGroups(deliveries).sort((a, b) => a.length - b.length);
  let [one, other] = sorted.length < deliveries.length ? shared(sorted) : [[...deliveries], []];
  if (Math.max(one.length, other.length) > 2 ** (Math.ceil(Math.log2(deliveries.length)) - 1)) {
    // The shortest lanes first: when one lane is longer than all others, only the rest of that lane waits.
    const all = sorted.flat();
    const half = Math.ceil(all.length / 2);
    [one, other] = [all.slice(0, half), all.slice(half)];
  }
  const { lane } = other[0]!;
  const after = lane !== null && one.at(-1)!.lane === lane;
  const halved = { one: call.part(one), other: call.part(other), after };
  if (after) halved.other.deadline = Number.POSITIVE_INFINITY;
  return halved;
}

/** Splits a call into one event, which is the first of one of the shortest lanes, and the rest. */
export function firstOf(call: Call): Halves {
  const [group, ...others] = laneGroups(call.deliveries).sort((a, b) => a.length - b.length);
  const [first, ...behind] = group!;
  const other = call.part([...behind, ...others.flat()]);
  const after = behind.length > 0;
  if (after) other.deadline = Number.POSITIVE_INFINITY;
  return { one: call.part([first!]), other, after };
}

/** Shares the groups out, the longest first, each to the smaller half. */
function shared(sorted: Delivery[][]): [Delivery[], Delivery[]] {
  const [one, other]: [Delivery[], Delivery[]] = [[], []];
  for (const group of sorted.toReversed()) (one.length <= other.length ? one : other).push(...group);
  return [one, other];
}

/** A call that is done except for the events that the function lists as failed. */
export interface Parts {
  done: readonly Delivery[];
  /** The call with the failed events, to be made again. */
  failed: Call | null;
  /** Calls with the rest of one lane each, to be made after the failed event of that lane. */
  after: Call[];
}

/**
 * Splits a call by the indexes of its failed events (null: none). An event after a failed one of the same lane is not
 * done, even if the function lists it as done. It is delivered again after the failed one, so that the last deliveries
 * of each key are in order. That costs it no attempt, because it may have failed only because of the one before.
 */
export function partsOf(call: Call, indexes: readonly number[] | null): Parts {
  const { deliveries } = call;
  if (indexes === null || indexes.length === 0) return { done: deliveries, failed: null, after: [] };
  const isFailed = new Uint8Array(deliveries.length);
  for (const index of indexes) isFailed[index] = 1;
  const done: Delivery[] = [];
  const failed: Delivery[] = [];
  const after: Call[] = [];
  let index = 0;
  for (const group of laneGroups(deliveries)) {
    let length = 0;
    while (length < group.length && isFailed[index + length] === 0) done.push(group[length++]!);
    if (length < group.length) failed.push(group[length]!);
    if (length + 1 < group.length) after.push(followers(call, group.slice(length + 1)));
    index += group.length;
  }
  return { done, failed: call.part(failed), after };
}

function followers(call: Call, deliveries: Delivery[]): Call {
  const held = call.part(deliveries);
  held.attempts--;
  held.failures = 0;
  held.deadline = Number.POSITIVE_INFINITY;
  return held;
}

/** Groups the events of one lane, which are together in a call. An event without a lane is a group of its own. */
function laneGroups(deliveries: readonly Delivery[]): Delivery[][] {
  const all: Delivery[][] = [];
  for (const one of deliveries) {
    const last = all.at(-1);
    if (last !== undefined && one.lane !== null && last[0]!.lane === one.lane) last.push(one);
    else all.push([one]);
  }
  return all;
}
