import { describe, expect, test } from 'vitest';
import { Pace } from '../../src/dispatcher/pace.ts';
import { type Answer, invalidCall } from '../../src/function/answer.ts';

const ok: Answer = { ...invalidCall(''), status: 200, fault: null };
const throttled: Answer = { ...ok, status: 429 };
const failed: Answer = { ...ok, status: 500 };
const timeout: Answer = { ...invalidCall(''), fault: 'timeout' };

/** So many calls at once, all with this answer. */
function round(pace: Pace, answer: Answer, calls = pace.limit): void {
  const begun = Array.from({ length: calls }, () => pace.began(0));
  for (const call of begun) pace.answered(call, answer);
}

describe('calls at once', () => {
  test.each([
    ['429', throttled],
    ['a timeout', timeout],
  ])('are halved by %s, once for all calls that were on their way', (_, answer) => {
    const pace = new Pace({ concurrency: 64, rate: null });
    round(pace, answer);
    expect(pace.limit).toBe(32);
    round(pace, answer);
    expect(pace.limit).toBe(16);
    for (let i = 0; i < 9; i++) round(pace, answer);
    expect(pace.limit).toBe(1);
  });

  test('a call from before the last halving changes nothing, one from after it does', () => {
    const pace = new Pace({ concurrency: 8, rate: null });
    const [first, second] = [pace.began(0), pace.began(0)];
    pace.answered(second, throttled);
    const third = pace.began(0);
    pace.answered(first, throttled);
    expect(pace.limit).toBe(4);
    pace.answered(third, throttled);
    expect(pace.limit).toBe(2);
  });

  test('grow by one per round of successes, up to what is allowed', () => {
    const pace = new Pace({ concurrency: 6, rate: null });
    for (let i = 0; i < 3; i++) round(pace, throttled);
    const limits = Array.from({ length: 8 }, () => {
      round(pace, ok);
      return pace.limit;
    });
    expect(limits).toEqual([2, 3, 4, 5, 6, 6, 6, 6]);
  });

  test('do not grow by failures, nor shrink', () => {
    const pace = new Pace({ concurrency: 6, rate: null });
    round(pace, throttled);
    for (let i = 0; i < 9; i++) round(pace, failed);
    expect(pace.limit).toBe(3);
  });

  test('C54 come back within a hundred rounds, however many they are', () => {
    const pace = new Pace({ concurrency: 10_000, rate: null });
    for (let i = 0; i < 20; i++) round(pace, throttled);
    for (let i = 0; i < 100; i++) round(pace, ok);
    expect(pace.limit).toBe(10_000);
  });
});

describe('a rate', () => {
  /** The times in milliseconds of the calls that begin as soon as they may, on a clock that ticks each `tick` ms. */
  function times(rate: number, tick: number, until: number): number[] {
    const pace = new Pace({ concurrency: 1, rate });
    const begun: number[] = [];
    for (let now = 1_000; now < 1_000 + until; now += tick) {
      while (pace.wait(now) === 0) {
        pace.began(now);
        begun.push(now - 1_000);
      }
    }
    return begun;
  }

  test('spaces calls evenly', () => {
    expect(times(10, 1, 500)).toEqual([0, 100, 200, 300, 400]);
  });

  test.each([5, 100, 1_000, 50_000])('of %i a second is kept, on a coarse clock too', (rate) => {
    for (const tick of [1, 7, 20]) {
      const begun = times(rate, tick, 2_000);
      expect(begun.length).toBeGreaterThan(2 * rate * 0.95 - 1);
      expect(begun.length).toBeLessThanOrEqual(2 * rate + Math.max(1, rate * 0.05) + 1);
    }
  });

  test('is not caught up after a pause, but for 50 ms', () => {
    const pace = new Pace({ concurrency: 1, rate: 100 });
    pace.began(0);
    let burst = 0;
    while (pace.wait(60_000) === 0) {
      pace.began(60_000);
      burst++;
    }
    expect(burst).toBe(5);
    expect(pace.wait(60_000)).toBe(10);
  });

  test('may be none', () => {
    const pace = new Pace({ concurrency: 1, rate: null });
    for (let i = 0; i < 1_000; i++) pace.began(0);
    expect(pace.wait(0)).toBe(0);
  });
});
