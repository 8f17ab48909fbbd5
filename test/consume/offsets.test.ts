import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OffsetTracker } from '../../src/consume/offsets.ts';

describe('OffsetTracker', () => {
  test('C49 commits nothing before the first is finished, then the offset after it', () => {
    const tracker = new OffsetTracker();
    for (const offset of [5, 6, 7]) tracker.begin(offset);
    tracker.finish(6);
    tracker.finish(7);
    expect(tracker).toMatchObject({ next: null, open: 3, oldest: 5 });
    tracker.finish(5);
    expect(tracker).toMatchObject({ next: 8, open: 0, oldest: null });
  });

  test('passes over gaps that the log has', () => {
    const tracker = new OffsetTracker();
    for (const offset of [0, 10, 11, 50]) tracker.begin(offset);
    tracker.finish(10);
    tracker.finish(0);
    expect(tracker).toMatchObject({ next: 11, open: 2, oldest: 11 });
  });

  test('ignores offsets that are not in work', () => {
    const tracker = new OffsetTracker();
    tracker.finish(3);
    expect(tracker.next).toBeNull();
    tracker.begin(3);
    tracker.begin(5);
    expect(tracker.oldest).toBe(3);
    tracker.finish(4);
    tracker.finish(9);
    tracker.finish(3);
    tracker.finish(3);
    expect(tracker).toMatchObject({ next: 4, open: 1, oldest: 5 });
    tracker.finish(5);
    expect(tracker).toMatchObject({ next: 6, open: 0 });
  });

  test('does not take an offset twice, nor an earlier one', () => {
    const tracker = new OffsetTracker();
    expect([2, 2, 1, 3, 3].map((offset) => tracker.begin(offset))).toEqual([true, false, false, true, false]);
    expect(tracker.open).toBe(2);
  });

  test('finishes all offsets before one, also those that it does not know', () => {
    const tracker = new OffsetTracker();
    for (const offset of [5, 6, 9, 12]) tracker.begin(offset);
    tracker.finish(9);
    tracker.finishBefore(7);
    expect(tracker).toMatchObject({ next: 10, open: 1, oldest: 12 });
    tracker.finishBefore(8);
    expect(tracker).toMatchObject({ next: 10, open: 1, oldest: 12 });
    tracker.finishBefore(100);
    expect(tracker).toMatchObject({ next: 100, open: 0, oldest: null });
    // They are read again: what is finished stays so.
    tracker.begin(20);
    expect(tracker).toMatchObject({ next: 100, open: 1, oldest: 20 });
    tracker.finishBefore(100);
    expect(tracker).toMatchObject({ next: 100, open: 0 });
  });

  test('never goes beyond an unfinished offset, in any order of finishing', () => {
    const offsets = fc
      .uniqueArray(fc.nat(5000), { minLength: 1, maxLength: 60 })
      .map((all) => all.sort((a, b) => a - b));
    const plan = offsets.chain((all) =>
      fc.record({ all: fc.constant(all), order: fc.shuffledSubarray(all), strays: fc.array(fc.nat(5000)) }),
    );
    fc.assert(
      fc.property(plan, ({ all, order, strays }) => {
        const tracker = new OffsetTracker();
        for (const offset of all) tracker.begin(offset);
        for (const offset of strays) if (!all.includes(offset)) tracker.finish(offset);
        const done = new Set<number>();
        for (const offset of order) {
          tracker.finish(offset);
          done.add(offset);
          const firstOpen = all.findIndex((one) => !done.has(one));
          const prefix = firstOpen < 0 ? all.length : firstOpen;
          expect(tracker.next).toBe(prefix === 0 ? null : all[prefix - 1]! + 1);
          expect(tracker.oldest).toBe(all[prefix] ?? null);
          expect(tracker.open).toBe(all.length - prefix);
        }
      }),
    );
  });

  test('stays exact over many offsets', () => {
    const tracker = new OffsetTracker();
    for (let offset = 0; offset < 20_000; offset++) {
      tracker.begin(offset);
      // The one a hundred places back is finished last, so that some are always open.
      if (offset >= 100) tracker.finish(offset - (offset % 2 === 0 ? 99 : 101));
    }
    expect(tracker.next! + tracker.open).toBe(20_000);
  });
});
