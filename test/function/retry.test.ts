import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_TIMER, retryAfter, retryWait } from '../../src/function/retry.ts';

const policy = { attempts: 8, min: 500, max: 60_000 };
const now = Date.UTC(2024, 0, 1);

describe('retryWait', () => {
  test('doubles up to the cap, with full jitter', () => {
    const most = [1, 2, 3, 7, 8, 9, 1000].map((attempt) => retryWait(attempt, policy, null, () => 1));
    expect(most).toEqual([500, 1000, 2000, 32_000, 60_000, 60_000, 60_000]);
    expect(retryWait(3, policy, null, () => 0.5)).toBe(1000);
  });

  test('is never nothing', () => {
    expect(retryWait(1, policy, null, () => 0)).toBeGreaterThan(0);
    expect(retryWait(1, policy, 0, () => 0)).toBeGreaterThan(0);
  });

  test('is at least what the function asks for, spread over the shortest back-off', () => {
    expect(retryWait(1, policy, 5000, () => 0)).toBe(5000);
    expect(retryWait(1, policy, 5000, () => 0.5)).toBe(5250);
    expect(retryWait(8, policy, 5000, () => 1)).toBe(60_000);
  });

  test('C55 fits a timer, whatever the numbers', () => {
    const positive = fc.double({ min: 1, max: 1e15, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        positive,
        positive,
        fc.option(positive),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, min, max, told, random) => {
          const wait = retryWait(attempt, { attempts: 9, min, max }, told, () => random);
          expect(wait).toBeGreaterThanOrEqual(1);
          expect(wait).toBeLessThanOrEqual(MAX_TIMER);
          if (told !== null) expect(wait).toBeGreaterThanOrEqual(Math.min(told, MAX_TIMER));
        },
      ),
    );
  });
});

describe('retryAfter', () => {
  const ms = (header: string | string[] | null | undefined) => retryAfter(header, now, 60_000);

  test('C55 takes seconds, clamped to the cap', () => {
    expect(ms('3')).toBe(3000);
    expect(ms(' 7 ')).toBe(7000);
    expect(ms('0')).toBe(0);
    expect(ms('9999999999')).toBe(60_000);
    expect(ms('9'.repeat(400))).toBe(60_000);
  });

  test('C55 takes the three forms of an HTTP date', () => {
    expect(ms('Mon, 01 Jan 2024 00:00:20 GMT')).toBe(20_000);
    expect(ms('Monday, 01-Jan-24 00:00:20 GMT')).toBe(20_000);
    expect(ms('Mon Jan  1 00:00:20 2024')).toBe(20_000);
    expect(ms('Mon, 01 Jan 2999 00:00:00 GMT')).toBe(60_000);
    expect(ms('Sun, 01 Jan 2023 00:00:00 GMT')).toBe(0);
  });

  test('C55 takes nonsense for nothing', () => {
    const nonsense = ['', ' ', '-5', '1e9', '3.5', '0x10', '+5', 'soon', '2024-01-01T00:00:20Z', 'Mon, soon'];
    for (const text of nonsense) expect(ms(text), text).toBeNull();
    expect(ms(null)).toBeNull();
    expect(ms(undefined)).toBeNull();
  });

  test('C55 takes the longest of two headers', () => {
    expect(ms(['2', '4'])).toBe(4000);
    expect(ms(['nonsense', '4'])).toBe(4000);
    expect(ms(['nonsense', '-1'])).toBeNull();
  });
});
