import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WindowConfig } from '../../src/config/stream/types.ts';
import { expectedWindows, lineOf, type Seen } from './reference.ts';
import { order, Steps, streamConfig, T0 } from './samples.ts';

/** Events in an order that is off by less than the lateness, and at last one that closes everything. */
const history = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c d', 'é\tü', ' '),
      second: fc.integer({ min: 0, max: 600 }),
      delay: fc.integer({ min: 0, max: 29 }),
      total: fc.integer({ min: -50, max: 5000 }),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((events) => events.sort((a, b) => a.second + a.delay - (b.second + b.delay)));

const kinds: Record<string, WindowConfig> = {
  tumbling: { tumbling: 60_000 },
  sliding: { sliding: 60_000, every: 20_000 },
  session: { session: 15_000 },
};

describe.each(Object.entries(kinds))('%s windows', (_name, window) => {
  test('are those of a recomputation, however the events come in batches and the state is reloaded', () => {
    fc.assert(
      fc.property(history, fc.array(fc.integer({ min: 1, max: 20 })), (events, cuts) => {
        const steps = new Steps(streamConfig({ window, lateness: 30_000 }));
        const records = events.map(({ key, second, total }, i) => order(i, key, second, { total }));
        let at = 0;
        for (const cut of cuts) {
          steps.step(records.slice(at, at + cut)).reload();
          // The last step comes again after a crash.
          steps.step(records.slice(at, at + cut));
          at += cut;
        }
        steps.step(records.slice(at)).step([order(events.length, 'end', 10_000)]);
        const seen: Seen[] = events.map(({ key, second, total }) => ({
          key,
          time: T0 + second * 1000,
          total,
        }));
        const found = steps.data().filter(({ key }) => key !== 'end');
        expect(found.map((one) => lineOf(one as never)).sort()).toEqual(
          expectedWindows(seen, window as never)
            .map(lineOf)
            .sort(),
        );
        expect(steps.entries.size).toBe(steps.state.open);
      }),
      { numRuns: 60 },
    );
  });

  test('what is too late depends on the events before it, never on the batches', () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 7 }), (events, size) => {
        const records = events.map(({ key, second, total }, i) => order(i, key, second, { total }));
        const config = streamConfig({ window, lateness: 2_000 });
        const one = new Steps(config).step(records);
        const many = new Steps(config);
        for (let at = 0; at < records.length; at += size) many.step(records.slice(at, at + size)).reload();
        const shown = ({ out }: Steps) =>
          out
            .map(
              ({ topic, headers, value }) => `${topic} ${headers.ce_id} ${headers.postern_origin} ${value}`,
            )
            .sort();
        expect(shown(many)).toEqual(shown(one));
        const last = [order(records.length, 'end', 10_000)];
        expect(shown(many.step(last))).toEqual(shown(one.step(last)));
      }),
      { numRuns: 60 },
    );
  });
});

describe.each(Object.entries({ ...kinds, count: { count: 2 } }))(
  'with too many keys, %s windows',
  (_name, window) => {
    test('are no more than allowed; who finds no room is in the late topic, whatever the batches', () => {
      const many = fc.array(fc.record({ key: fc.nat(30), second: fc.nat(20) }), {
        minLength: 40,
        maxLength: 100,
      });
      fc.assert(
        fc.property(many, fc.integer({ min: 1, max: 9 }), (events, size) => {
          let second = 0;
          const records = events.map((event, i) => {
            second += event.second;
            return order(i, `key-${event.key}`, second);
          });
          const config = streamConfig({ window, maxOpenWindows: 5 });
          const one = new Steps(config).step(records);
          const steps = new Steps(config);
          for (let at = 0; at < records.length; at += size) {
            steps.step(records.slice(at, at + size)).reload();
            expect(steps.state.open).toBeLessThanOrEqual(5);
          }
          const shown = ({ out }: Steps) =>
            out.map(
              ({ topic, headers, value }) => `${topic} ${headers.ce_id} ${headers.postern_origin} ${value}`,
            );
          expect(shown(steps).sort()).toEqual(shown(one).sort());
          // No event is nowhere.
          const { full = 0, events: counted = 0 } = one.state.takeTally()!;
          expect(counted).toBe(records.length);
          const late = one.out.filter(({ topic }) => topic === 'spend.late');
          expect(late.length).toBe(full);
          expect(
            new Set(late.map(({ headers }) => headers.postern_reason)).isSubsetOf(new Set(['full'])),
          ).toBe(true);
          if ('tumbling' in window || 'session' in window) {
            one.step([order(records.length, 'end', 1_000_000)]);
            const told = one.data().reduce((sum, { n }) => sum + (n as number), 0);
            expect(told + full).toBe(records.length);
          }
        }),
        { numRuns: 20 },
      );
    });

    test('go on for the keys that have one, and open again when others have ended', () => {
      const steps = new Steps(streamConfig({ window, maxOpenWindows: 1 }));
      steps.step([order(0, 'a', 1), order(1, 'b', 2), order(2, 'a', 3), order(3, 'b', 1_000)]);
      const origins = steps.out.flatMap(({ headers }) => headers.postern_origin ?? []);
      expect(origins).toEqual(['orders/0/1']);
      expect(steps.data()[0]).toMatchObject({ key: 'a', n: 2 });
      expect(steps.state.open).toBe(1);
    });
  },
);

test('sliding windows that tell of a threshold do so once each', () => {
  const steps = new Steps(
    streamConfig({
      window: { sliding: 60_000, every: 20_000 },
      having: 'n >= 2',
      emit: { on: 'threshold', topic: 'alerts', type: 't' },
    }),
  );
  steps
    .step([order(0, 'a', 0), order(1, 'a', 1)])
    .reload()
    .step([order(2, 'a', 2), order(3, 'a', 30)]);
  expect(steps.data().map(({ start, n }) => [(Date.parse(String(start)) - T0) / 1000, n])).toEqual([
    [0, 2],
    [-20, 2],
    [-40, 2],
  ]);
});

test('windows of a count end with their nth event, and are told apart', () => {
  const steps = new Steps(streamConfig({ window: { count: 2 } }));
  steps
    .step([order(0, 'a', 5), order(1, 'b', 1)])
    .reload()
    .step([order(2, 'a', 3), order(3, 'a', 9), order(4, 'a', 9)]);
  expect(steps.data()).toMatchObject([
    { key: 'a', n: 2, start: new Date(T0 + 3000).toISOString(), end: new Date(T0 + 5000).toISOString() },
    { key: 'a', n: 2 },
  ]);
  expect(new Set(steps.out.map(({ headers }) => headers.ce_id)).size).toBe(2);
  expect(steps.state.open).toBe(1);
});

test('an event from the future closes nothing, and goes to the late topic', () => {
  const steps = new Steps(streamConfig());
  const wrong = { ...order(1, 'a', 4_000_000), timestamp: T0 + 2_000 };
  steps.step([order(0, 'a', 1), wrong, order(2, 'a', 2)]);
  expect(steps.data()).toEqual([]);
  expect(steps.out).toMatchObject([
    {
      topic: 'spend.late',
      value: wrong.value,
      headers: { postern_reason: 'future', postern_origin: 'orders/0/1' },
    },
  ]);
  expect(steps.state.takeTally()).toMatchObject({ events: 2, future: 1, late: 0 });
});

test('time goes on by the clock once nothing comes, and what is later is late', () => {
  const steps = new Steps(streamConfig());
  steps.step([order(0, 'a', 1)]);
  expect(steps.state.isDue(T0 + 59_000)).toBe(false);
  expect(steps.state.isDue(T0 + 60_000)).toBe(true);
  steps.state.advance(T0 + 60_000);
  // Stored before anything is closed: whoever takes over closes the same windows.
  const { mark } = steps.state.takeChange();
  expect(steps.state.takeOutput()).toEqual([]);
  steps.mark = mark;
  steps.reload().step([order(1, 'a', 2)]);
  expect(steps.data()).toMatchObject([{ key: 'a', n: 1 }]);
  expect(steps.out.map(({ headers }) => headers.postern_reason)).toContain('late');
});

test('an emitted event is a CloudEvent whose id is that of the window', () => {
  const long = 'ключ '.repeat(90);
  const steps = new Steps(streamConfig());
  steps.step([order(0, 'anna', 1, { total: 2.5 }), order(1, long, 1), order(2, 'x', 61)]);
  expect(steps.out[0]).toMatchObject({
    topic: 'alerts',
    key: 'anna',
    headers: {
      ce_specversion: '1.0',
      ce_id: 'spend/anna/2026-03-01T12:00:00.000Z',
      ce_source: '/streams/spend',
      ce_type: 'spend.minute',
      ce_time: '2026-03-01T12:01:00.000Z',
      'content-type': 'application/json',
    },
  });
  expect(steps.data()[0]).toEqual({
    stream: 'spend',
    key: 'anna',
    start: '2026-03-01T12:00:00.000Z',
    end: '2026-03-01T12:01:00.000Z',
    n: 1,
    spent: 2.5,
  });
  expect(String(steps.out[1]!.headers.ce_id)).toMatch(/^spend\/[\w-]{43}\/2026/);
});

test('another definition of the stream begins anew, where the one before ended', () => {
  const steps = new Steps(streamConfig());
  steps.step([order(0, 'a', 1), order(1, 'b', 1)]);
  const next = new Steps(streamConfig({ aggregate: { most: 'max(event.data.total)' } }));
  next.mark = steps.mark;
  next.entries = steps.entries;
  next.reload().step([order(0, 'a', 1), order(2, 'a', 2, { total: 7 }), order(3, 'a', 70)]);
  expect(next.data()).toMatchObject([{ key: 'a', most: 7 }]);
  expect(next.entries.size).toBe(1);
});

test('a stream that feeds itself by way of others ends after 16 hops, over restarts too', () => {
  const steps = new Steps(streamConfig({ window: { session: 1_000 }, topics: ['orders'] }));
  steps.step([order(0, 'a', 0)]);
  const hops: (string | undefined)[] = [];
  let offset = 1;
  for (let seconds = 10; ; seconds += 10) {
    // Ends the session, whose event comes back as one of the stream's own.
    steps.reload().step([order(offset++, 'clock', seconds)]);
    const told = steps.out.filter(({ key, topic }) => key === 'a' && topic === 'alerts');
    if (told.length === hops.length) break;
    const last = told.at(-1)!.headers.ce_posternhops as string;
    hops.push(last);
    const back = order(offset++, 'a', seconds);
    steps.step([{ ...back, headers: { ...back.headers, ce_posternhops: Buffer.from(last) } }]);
  }
  expect(hops).toEqual(Array.from({ length: 16 }, (_, i) => String(i + 1)));
  const looped = steps.out.filter(({ headers }) => headers.postern_reason === 'too_many_hops');
  expect(looped).toMatchObject([{ topic: 'spend.late', headers: { postern_stream: 'spend' } }]);
});
