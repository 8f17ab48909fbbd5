import type { Call, Delivery } from './call.ts';

/** Two calls instead of one that failed. */
export interface Halves {
  one: Call;
  other: Call;
  /** The other, which begins with the rest of a lane, must wait for the events of that lane in the first. */
  after: boolean;
}

/**
 * Halves a call with several events, so that one that fails in all company is alone after `2·⌈log2(events)⌉` more calls.
 * Those of one lane stay together, and so need not wait for the other half, unless that half would be too large.
 */
export function halves(call: Call): Halves {
  const { deliveries } = call;
  const sorted = runs(deliveries).sort((a, b) => a.length - b.length);
  let [one, other] = sorted.length < deliveries.length ? shared(sorted) : [[...deliveries], []];
  if (Math.max(one.length, other.length) > 2 ** (Math.ceil(Math.log2(deliveries.length)) - 1)) {
    // The shortest lanes first: where one is longer than all others, only its own rest waits.
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

/** Parts a call in its first event, of a lane with as few others as there are, and the rest. */
export function firstOf(call: Call): Halves {
  const [run, ...others] = runs(call.deliveries).sort((a, b) => a.length - b.length);
  const [first, ...behind] = run!;
  const other = call.part([...behind, ...others.flat()]);
  const after = behind.length > 0;
  if (after) other.deadline = Number.POSITIVE_INFINITY;
  return { one: call.part([first!]), other, after };
}

/** The longest first, each to the smaller half. */
function shared(sorted: Delivery[][]): [Delivery[], Delivery[]] {
  const [one, other]: [Delivery[], Delivery[]] = [[], []];
  for (const run of sorted.toReversed()) (one.length <= other.length ? one : other).push(...run);
  return [one, other];
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
