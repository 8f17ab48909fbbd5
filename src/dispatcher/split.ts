import type { Call, Delivery } from './call.ts';

/** Two calls instead of one that failed. */
export interface Halves {
  one: Call;
  other: Call;
  /** The other must wait for the events of the first. */
  after: boolean;
}

/**
 * Halves a call with several events. Those of one lane stay together, and so need not wait for the other half,
 * unless all are of that lane.
 */
export function halves(call: Call): Halves {
  const { deliveries } = call;
  const all = runs(deliveries);
  const after = all.length === 1;
  const half = Math.ceil(deliveries.length / 2);
  if (after || all.length === deliveries.length) {
    const other = call.part(deliveries.slice(half));
    if (after) other.deadline = Number.POSITIVE_INFINITY;
    return { one: call.part(deliveries.slice(0, half)), other, after };
  }
  const [one, other]: [Delivery[], Delivery[]] = [[], []];
  // The longest first, each to the smaller half.
  for (const run of all.sort((a, b) => b.length - a.length)) {
    (one.length <= other.length ? one : other).push(...run);
  }
  return { one: call.part(one), other: call.part(other), after };
}

/** What becomes of a call that is done but for the events that the function lists. */
export interface Parts {
  done: readonly Delivery[];
  /** To be made again. */
  failed: Call | null;
  /** Each of one lane, to be made after the failed event of that lane. */
  after: Call[];
}

/**
 * Parts a call by the places of its failed events (null: none). What comes after a failed event of the same lane
 * is not done, whatever the function says of it: it is delivered again after that one, so that of each key the
 * last deliveries of its events are in order. That costs it no attempt: it may have failed only because of the
 * one before.
 */
export function partsOf(call: Call, places: readonly number[] | null): Parts {
  const { deliveries } = call;
  if (places === null || places.length === 0) return { done: deliveries, failed: null, after: [] };
  const isFailed = new Uint8Array(deliveries.length);
  for (const place of places) isFailed[place] = 1;
  const done: Delivery[] = [];
  const failed: Delivery[] = [];
  const after: Call[] = [];
  let place = 0;
  for (const run of runs(deliveries)) {
    let length = 0;
    while (length < run.length && isFailed[place + length] === 0) done.push(run[length++]!);
    if (length < run.length) failed.push(run[length]!);
    if (length + 1 < run.length) after.push(followers(call, run.slice(length + 1)));
    place += run.length;
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

/** Events of one lane stand together in a call; one without a lane stands alone. */
function runs(deliveries: readonly Delivery[]): Delivery[][] {
  const all: Delivery[][] = [];
  for (const one of deliveries) {
    const last = all.at(-1);
    if (last !== undefined && one.lane !== null && last[0]!.lane === one.lane) last.push(one);
    else all.push([one]);
  }
  return all;
}
