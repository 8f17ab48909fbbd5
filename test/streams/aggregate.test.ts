import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAggregate } from '../../src/streams/aggregate.ts';
import { eventTime } from '../../src/streams/event-time.ts';
import {
  addHash,
  countOf,
  emptySketch,
  hashOf,
  mergeSketch,
  readSketch,
  writeSketch,
} from '../../src/streams/sketch.ts';
import { streamProblems } from '../../src/streams/values.ts';
import { stored } from '../dispatcher/records.ts';
import { order, Steps, streamConfig } from './samples.ts';

/** The result over values, in two halves that are merged, the first one after it was in the store. */
function over(text: string, values: unknown[], half = values.length >> 1): unknown {
  const { aggregate } = parseAggregate(text);
  const fold = (own: unknown[], from: number) =>
    own.reduce((state, value, i) => aggregate.add(state, value, from + i), aggregate.empty());
  const first = aggregate.read(JSON.parse(JSON.stringify(aggregate.write(fold(values.slice(0, half), 0)))));
  return aggregate.result(aggregate.merge(first, fold(values.slice(half), half)));
}

describe('aggregates', () => {
  const values = [3, 'x', -1, undefined, 7.5, null, 7n];

  test('say what they say of values of all kinds', () => {
    expect(over('count()', values)).toBe(7);
    expect(over('sum(x)', values)).toBe(16.5);
    expect(over('avg(x)', values)).toBe(4.125);
    expect(over('min(x)', values)).toBe(-1);
    expect(over('max(x)', values)).toBe(7.5);
    expect(over('distinct(x)', values)).toBe(5);
    expect(over('first(x)', values)).toBe(3);
    expect(over('last(x)', values)).toBe(7);
    expect(over('collect(x)', values)).toEqual([3, 'x', -1, 7.5, null, 7]);
  });

  test('have nothing to say of nothing', () => {
    for (const name of ['avg', 'min', 'max', 'first', 'last']) expect(over(`${name}(x)`, [])).toBeNull();
    expect([
      over('count()', []),
      over('sum(x)', []),
      over('distinct(x)', []),
      over('collect(x)', []),
    ]).toEqual([0, 0, 0, []]);
  });

  test('a sum loses nothing to rounding, whatever the order', () => {
    const cents = Array.from({ length: 1000 }, () => 0.1);
    expect(over('sum(x)', cents)).toBe(100);
    expect(over('sum(x)', [1e17, 1, -1e17])).toBe(1);
  });

  test('the state of a sum is the same after it was in the store', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })),
        (all) => {
          const { aggregate } = parseAggregate('sum(x)');
          let [kept, reloaded] = [aggregate.empty(), aggregate.empty()];
          for (const value of all) {
            kept = aggregate.add(kept, value, 0);
            reloaded = aggregate.read(
              JSON.parse(JSON.stringify(aggregate.write(aggregate.add(reloaded, value, 0)))),
            );
          }
          expect(aggregate.result(reloaded)).toBe(aggregate.result(kept));
        },
      ),
    );
  });

  test('a list is cut, and says so', () => {
    const { aggregate } = parseAggregate('collect(x)');
    let state = aggregate.empty();
    for (let i = 0; i < 150; i++) {
      state = aggregate.add(state, i, i);
      expect(aggregate.isRough(state)).toBe(i >= 100);
    }
    expect(aggregate.result(state)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test.each([
    ['sum', 'must be one of'],
    ['median(x)', 'must be one of'],
    ['sum()', 'needs an expression'],
    ['count(x)', 'takes no expression'],
  ])('%s is refused', (text, message) => {
    expect(() => parseAggregate(text)).toThrow(message);
  });
});

describe('distinct', () => {
  test.each([0, 1, 64])('%i values are counted exactly', (count) => {
    const sketch = emptySketch();
    for (let i = 0; i < 3 * count; i++) addHash(sketch, hashOf(`v${i % Math.max(1, count)}`));
    expect(countOf(sketch)).toBe(count);
    expect(sketch.values).not.toBeNull();
  });

  test.each([65, 500, 3_000, 50_000, 400_000])(
    '%i values are counted to within 7 percent, and told to be a guess',
    (count) => {
      const [even, odd] = [emptySketch(), emptySketch()];
      for (let i = 0; i < count; i++) addHash(i % 2 === 0 ? even : odd, hashOf(`value-${i}`));
      const merged = readSketch(JSON.parse(JSON.stringify(writeSketch(even))));
      mergeSketch(merged, odd);
      expect(merged.values).toBeNull();
      expect(Math.abs(countOf(merged) - count) / count).toBeLessThan(0.07);
    },
  );

  test('an emitted event says which results are not exact', () => {
    const steps = new Steps(streamConfig({ aggregate: { n: 'count()', who: 'distinct(event.data.u)' } }));
    steps.step([...Array(70)].map((_, i) => order(i, 'a', 1, { u: i })));
    steps.step([order(70, 'a', 61)]);
    expect(steps.data()).toMatchObject([{ n: 70, approximate: ['who'] }]);
  });
});

test('the time of an event is that of its attribute, to the millisecond', () => {
  const at = (time: string) => eventTime(stored('{}', { ce_time: time }));
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      (date) => {
        expect(at(date.toISOString())).toBe(date.getTime());
      },
    ),
  );
  expect(at('2026-03-01T08:30:00Z')).toBe(Date.UTC(2026, 2, 1, 8, 30));
  expect(at('2026-03-01T10:30:00.25+02:00')).toBe(Date.UTC(2026, 2, 1, 8, 30, 0, 250));
  expect(at('2026-03-01t08:30:00z')).toBe(Date.UTC(2026, 2, 1, 8, 30));
  expect(at('2016-12-31T23:59:60Z')).toBe(Date.UTC(2017, 0, 1));
  for (const bad of ['', 'yesterday', '2026-02-30T00:00:00Z', '2026-03-01 08:30:00Z', '2026-03-01T25:00:00Z'])
    expect(at(bad)).toBeNull();
  expect(eventTime(stored('{}'))).toBeNull();
});

test('what is wrong with a stream is told with its place', () => {
  const problems = streamProblems(
    streamConfig({
      filter: 'event.type ==',
      aggregate: { n: 'count()', key: 'count()', bad: 'sum(event.)' },
    }),
  );
  expect(problems.map(({ path }) => path.join('.'))).toEqual(['filter', 'aggregate.key', 'aggregate.bad']);
  expect(streamProblems(streamConfig({ having: '1 + 1' })).map(({ path }) => path.join('.'))).toEqual([
    'having',
  ]);
  expect(streamProblems(streamConfig({ having: 'm > 1' })).map(({ path }) => path.join('.'))).toEqual([
    'having',
  ]);
  expect(streamProblems(streamConfig({ having: 'n > 1 && spent >= 2.5' }))).toEqual([]);
});
