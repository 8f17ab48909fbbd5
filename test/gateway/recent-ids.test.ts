import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RecentIds } from '../../src/gateway/commit/recent-ids.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('knows the checksum of what was stored last under an id', () => {
  const recent = new RecentIds({ ids: 10, life: 1000 });
  recent.add([{ key: 'a', checksum: 1 }]);
  recent.add([
    { key: 'a', checksum: 2 },
    { key: 'b', checksum: 0 },
  ]);
  expect(['a', 'b', 'c'].map((key) => recent.find(key))).toEqual([2, 0, undefined]);
});

test('keeps the last half of its ids at least, and never more than all of them', () => {
  const recent = new RecentIds({ ids: 100, life: 1000 });
  for (let n = 0; n < 10_000; n++) {
    recent.add([{ key: `${n}`, checksum: n }]);
    if (n % 37 !== 0) continue;
    const known = Array.from({ length: n + 1 }, (_, i) => i).filter((i) => recent.find(`${i}`) !== undefined);
    expect(known.length).toBeLessThanOrEqual(100);
    expect(known.slice(-50)).toEqual(
      Array.from({ length: Math.min(n + 1, 50) }, (_, i) => Math.max(0, n - 49) + i),
    );
  }
  recent.add(Array.from({ length: 1000 }, (_, i) => ({ key: `more${i}`, checksum: i })));
  expect([recent.find('9999'), recent.find('more0'), recent.find('more999')]).toEqual([
    undefined,
    undefined,
    999,
  ]);
});

test('keeps an id for half its life at least, and never for longer than it', () => {
  for (const start of [0, 100, 333, 499, 5000]) {
    for (const step of [7, 300, 499, 999]) {
      const recent = new RecentIds({ ids: 100, life: 1000 });
      vi.advanceTimersByTime(start);
      recent.add([{ key: 'a', checksum: 1 }]);
      for (let age = step; age < 3000; age += step) {
        vi.advanceTimersByTime(step);
        const found = recent.find('a');
        if (age < 500) expect([start, age, found]).toEqual([start, age, 1]);
        if (age >= 1000) expect([start, age, found]).toEqual([start, age, undefined]);
      }
    }
  }
});
