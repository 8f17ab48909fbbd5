import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Call, type Delivery, deliveryOf, type Lane } from '../../src/dispatcher/call.ts';
import { Commits } from '../../src/dispatcher/commits.ts';
import { type Answer, type CallFault, invalidCall } from '../../src/dispatcher/conclude.ts';
import { halves, partsOf } from '../../src/dispatcher/split.ts';
import { isFree, isLast, stepAfter } from '../../src/dispatcher/step.ts';
import { stored } from './records.ts';

const commits = new Commits(async () => {});
commits.assign([{ topic: 'orders', partition: 0 }]);
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

/** Calls that it takes until the event that fails in all company is alone, and its last one. */
function callsFor(call: Call, poison: number): number {
  if (!placesOf(call.deliveries).includes(poison)) return 1;
  if (call.deliveries.length === 1) return 1;
  const { one, other } = halves(call);
  return 1 + callsFor(one, poison) + callsFor(other, poison);
}

const worst = (lengths: (number | null)[]): number => {
  const call = callOf(lengths);
  return Math.max(...call.deliveries.map(({ offset }) => callsFor(call, offset) - 1));
};

describe('halves', () => {
  const MOST = 2 * Math.log2(100) + 1;

  test.each([
    ['without lanes', Array.from({ length: 100 }, () => null)],
    ['each of another lane', Array.from({ length: 100 }, () => 1)],
    ['all of one lane', [100]],
    ['of two lanes', [50, 50]],
  ])('of 100 events, %s, find the one that fails in at most 14 more calls', (_, lengths) => {
    expect(worst(lengths)).toBeLessThanOrEqual(MOST);
  });

  test('of several lanes with several events, in two more at most', () => {
    expect(worst(Array.from({ length: 10 }, () => 10))).toBe(16);
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(null)), {
      minLength: 2,
      maxLength: 60,
    });
    fc.assert(
      fc.property(lengths, (some) => {
        const events = callOf(some).deliveries.length;
        expect(worst(some)).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(events)) + 2);
      }),
      { numRuns: 50 },
    );
  });

  test('keep each lane together and in order, and all events', () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(null)), { minLength: 2 });
    fc.assert(
      fc.property(lengths, (some) => {
        const call = callOf(some);
        const { one, other, after } = halves(call);
        expect(after).toBe(false);
        const both = [...placesOf(one.deliveries), ...placesOf(other.deliveries)];
        expect(both.toSorted((a, b) => a - b)).toEqual(placesOf(call.deliveries));
        for (const { deliveries } of [one, other]) {
          expect(deliveries.length).toBeGreaterThan(0);
          for (const [i, { lane, offset }] of deliveries.entries()) {
            const next = deliveries[i + 1];
            if (lane !== null && next?.lane === lane) expect(next.offset).toBe(offset + 1);
          }
        }
        const lanes = new Set(one.deliveries.map(({ lane }) => lane).filter((lane) => lane !== null));
        expect(other.deliveries.some(({ lane }) => lane !== null && lanes.has(lane))).toBe(false);
      }),
    );
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
    expect(isFree('wait', status(429))).toBe(true);
    expect(isFree('wait', status(503))).toBe(false);
  });

  test('while the breaker is open nothing is split, given up or counted', () => {
    for (const call of [alone(3), batch(3)]) expect(stepAfter(call, status(503), false, retry)).toBe('probe');
    expect(isFree('probe', status(503))).toBe(true);
  });

  test('a split costs an attempt, unless no call was made', () => {
    expect(isFree('split', status(500))).toBe(false);
    expect(isFree('split', fault('too_large'))).toBe(true);
    expect(isFree('give_up', fault('too_large'))).toBe(false);
  });
});
