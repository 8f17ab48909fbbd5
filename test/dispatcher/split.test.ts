import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Commits } from '../../src/consume/commits.ts';
import { Call, type Delivery, deliveryOf, type Lane } from '../../src/dispatcher/call.ts';
import { advance, Lanes, returnToLane } from '../../src/dispatcher/lanes.ts';
import { halves, partsOf } from '../../src/dispatcher/split.ts';
import { costsNoAttempt, isLast, stepAfter } from '../../src/dispatcher/step.ts';
import { type Answer, type CallFault, invalidCall } from '../../src/function/answer.ts';
import { stored } from './records.ts';

const commits = new Commits(async () => {});
commits.assign([{ topic: 'orders', partition: 0, offset: 0 }]);
const holding = commits.find({ topic: 'orders', partition: 0 })!;

/** A call whose events are of these lanes, in runs of so many; without a lane where it is null. */
function callOf(lengths: (number | null)[]): Call {
  const deliveries: Delivery[] = [];
  for (const length of lengths) {
    const lane = length === null ? null : ({} as Lane);
    for (let i = 0; i < (length ?? 1); i++) {
      const offset = deliveries.length;
      const delivery = deliveryOf(stored('{}', {}, { offset }), holding, offset, 0);
      delivery.lane = lane;
      deliveries.push(delivery);
    }
  }
  return new Call(deliveries, () => {});
}

const placesOf = (deliveries: readonly Delivery[]) => deliveries.map(({ offset }) => offset);

/**
 * Makes a call, and all those that follow, in an order that `random` chooses. One event fails in all company.
 * Returns how many calls it took, and the places in the order in which they were done.
 */
function deliver(lengths: (number | null)[], poison: number, random: () => number) {
  const done: number[] = [];
  const due: Call[] = [];
  const lanes = new Lanes({ limit: 1_000, ready() {}, resume: (call) => due.push(call) });
  const deliveries: Delivery[] = [];
  for (const [run, length] of lengths.entries()) {
    const key = length === null ? null : Buffer.from(String(run));
    for (let i = 0; i < (length ?? 1); i++) {
      const offset = deliveries.length;
      const delivery = deliveryOf({ ...stored('{}', {}, { offset }), key }, holding, offset, 0);
      deliveries.push(delivery);
      lanes.enter(delivery);
    }
  }
  for (const { lane } of deliveries) if (lane?.first != null) advance(lane);
  due.push(new Call(deliveries, () => {}));
  let calls = 0;
  while (due.length > 0) {
    const [call] = due.splice(Math.floor(random() * due.length), 1) as [Call];
    calls++;
    const isGood = !placesOf(call.deliveries).includes(poison);
    if (!isGood && call.deliveries.length > 1) {
      const { one, other, after } = halves(call);
      due.push(one);
      if (after) returnToLane(other);
      else due.push(other);
      continue;
    }
    if (isGood) done.push(...placesOf(call.deliveries));
    for (const delivery of call.deliveries) lanes.leave(delivery);
  }
  return { calls, done, deliveries };
}

const worst = (lengths: (number | null)[]): number => {
  const { length } = callOf(lengths).deliveries;
  return Math.max(...Array.from({ length }, (_, poison) => deliver(lengths, poison, Math.random).calls - 1));
};

/** Lengths that make a hundred events. */
const hundred = (lengths: (number | null)[]) => {
  const kept: (number | null)[] = [];
  let left = 100;
  for (const length of [...lengths, ...Array.from({ length: 100 }, () => null)]) {
    if (left > 0) kept.push(length === null ? null : Math.min(length, left));
    left -= length ?? 1;
  }
  return kept;
};

describe('halves', () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(null)), { maxLength: 60 });

  test.each([
    ['without lanes', Array.from({ length: 100 }, () => null)],
    ['each of another lane', Array.from({ length: 100 }, () => 1)],
    ['all of one lane', [100]],
    ['of two lanes', [50, 50]],
    ['of ten lanes', Array.from({ length: 10 }, () => 10)],
    ['of three lanes', [34, 33, 33]],
  ])('of 100 events, %s, find the one that fails in at most 14 more calls', (_, some) => {
    // 2·log2(100)+1 is 14.3.
    expect(worst(some)).toBeLessThanOrEqual(14);
  });

  test('of any lanes find it so, and deliver all others once, those of a lane in order', () => {
    const samples = fc.tuple(
      lengths.map(hundred),
      fc.nat(99),
      fc.infiniteStream(fc.double({ min: 0, max: 0.99 })),
    );
    fc.assert(
      fc.property(samples, ([some, poison, numbers]) => {
        const { calls, done, deliveries } = deliver(some, poison, () => numbers.next().value!);
        expect(calls - 1).toBeLessThanOrEqual(14);
        const others = placesOf(deliveries).filter((place) => place !== poison);
        expect(done.toSorted((a, b) => a - b)).toEqual(others);
        for (const places of Map.groupBy(done, (place) => deliveries[place]!.lane ?? place).values()) {
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('wait for each other only where a lane would be too long for one half', () => {
    const placesIn = (some: (number | null)[]) => {
      const { one, other, after } = halves(callOf(some));
      return [placesOf(one.deliveries), placesOf(other.deliveries), after];
    };
    expect(placesIn([3, 2, null])).toEqual([[0, 1, 2], [3, 4, 5], false]);
    expect(placesIn([6, 1, 1])).toEqual([[6, 7, 0, 1], [2, 3, 4, 5], true]);
  });

  test('of one lane come one after the other, and know of the attempts before', () => {
    const call = callOf([5]);
    Object.assign(call, { attempts: 3, failures: 2, firstTime: 7, deadline: 9 });
    const { one, other, after } = halves(call);
    expect([placesOf(one.deliveries), placesOf(other.deliveries), after]).toEqual([[0, 1, 2], [3, 4], true]);
    expect(one).toMatchObject({ attempts: 3, failures: 2, firstTime: 7, deadline: 9 });
    // The wait for its turn is no event's age.
    expect(other).toMatchObject({ attempts: 3, firstTime: 7, deadline: Number.POSITIVE_INFINITY });
  });
});

describe('C57 a call that is done but for some events', () => {
  test.each([null, []])('is done when it lists %j', (places) => {
    const call = callOf([null, null]);
    expect(partsOf(call, places)).toEqual({ done: call.deliveries, failed: null, after: [] });
  });

  test('without lanes, the others are done', () => {
    const { done, failed, after } = partsOf(callOf([null, null, null, null]), [3, 1]);
    expect([placesOf(done), placesOf(failed!.deliveries), after]).toEqual([[0, 2], [1, 3], []]);
  });

  test('with lanes, those before the first failed one of their lane are', () => {
    const call = callOf([4, null, 3, 1, 2]);
    Object.assign(call, { attempts: 2, failures: 1, deadline: 9 });
    // Runs: 0 to 3, 4, 5 to 7, 8, 9 and 10.
    const { done, failed, after } = partsOf(call, [1, 3, 4, 7, 8]);
    expect(placesOf(done)).toEqual([0, 5, 6, 9, 10]);
    expect(placesOf(failed!.deliveries)).toEqual([1, 4, 7, 8]);
    expect(after.map(({ deliveries }) => placesOf(deliveries))).toEqual([[2, 3]]);
    expect(failed).toMatchObject({ attempts: 2, deadline: 9 });
    expect(after[0]).toMatchObject({ attempts: 1, failures: 0, deadline: Number.POSITIVE_INFINITY });
  });
});

describe('what follows', () => {
  const retry = { attempts: 3, min: 1, max: 5 };
  const status = (code: number): Answer => ({ ...invalidCall(''), status: code, fault: null });
  const fault = (word: CallFault): Answer => ({ ...invalidCall(''), fault: word });
  const alone = (attempts: number) => Object.assign(callOf([null]), { attempts });
  const batch = (attempts: number) => Object.assign(callOf([null, null]), { attempts });

  test.each([
    ['a success', status(200), 'done', 'done'],
    ['a stale connection', fault('stale_connection'), 'reconnect', 'reconnect'],
    ['a refusal', status(400), 'give_up', 'split'],
    ['a payload that is too large', fault('too_large'), 'give_up', 'split'],
    ['an error', status(500), 'wait', 'split'],
    ['a timeout', fault('timeout'), 'wait', 'split'],
    ['throttling', status(429), 'wait', 'wait'],
    ['a function that was not reached', fault('unreachable'), 'wait', 'wait'],
  ])('from %s', (_, answer, one, many) => {
    expect(stepAfter(alone(1), answer, true, retry)).toBe(one);
    expect(stepAfter(batch(1), answer, true, retry)).toBe(many);
  });

  test('an event is given up for its last failure alone', () => {
    expect(stepAfter(alone(3), status(500), true, retry)).toBe('give_up');
    expect(stepAfter(batch(3), status(500), true, retry)).toBe('split');
    expect(isLast(alone(3), status(500), retry)).toBe(true);
    expect(isLast(alone(2), status(500), retry)).toBe(false);
    expect(isLast(batch(3), status(500), retry)).toBe(false);
    expect(isLast(batch(3), fault('unreachable'), retry)).toBe(true);
  });

  test('C54 an event is never given up because of 429, and that costs no attempt', () => {
    expect(stepAfter(alone(99), status(429), true, retry)).toBe('wait');
    expect(isLast(alone(99), status(429), retry)).toBe(false);
    expect(costsNoAttempt('wait', status(429))).toBe(true);
    expect(costsNoAttempt('wait', status(503))).toBe(false);
  });

  test('while the breaker is open nothing is split, given up or counted', () => {
    for (const call of [alone(3), batch(3)]) expect(stepAfter(call, status(503), false, retry)).toBe('probe');
    expect(costsNoAttempt('probe', status(503))).toBe(true);
  });

  test('a split costs an attempt, unless no call was made', () => {
    expect(costsNoAttempt('split', status(500))).toBe(false);
    expect(costsNoAttempt('split', fault('too_large'))).toBe(true);
    expect(costsNoAttempt('give_up', fault('too_large'))).toBe(false);
  });
});
