import { expect, test } from 'vitest';
import { Commits } from '../../src/consume/commits.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { Instances } from '../../src/workflows/instances.ts';
import type { Plan } from '../../src/workflows/plan.ts';
import type { Progress } from '../../src/workflows/progress.ts';

const PLAN: Plan = {
  stages: [[{ name: 'a', undo: false, when: null, wait: null }]],
  timeout: 1_000_000,
};
const started: Progress = { kind: 'started', event: '{}', source: '/s', trace: {} };
const done: Progress = {
  kind: 'called',
  step: 'a',
  undo: false,
  undoable: false,
  round: 0,
  failure: null,
  unsure: false,
  result: null,
};
const ended: Progress = { kind: 'ended', outcome: 'done' };
const NOW = Date.UTC(2026, 0, 2);

/** One partition, and how far it is committed. */
function partition() {
  const commits = new Commits(async () => {});
  commits.assign([{ topic: 'workflow.w', partition: 0, offset: 0 }]);
  const holding = commits.find({ topic: 'workflow.w', partition: 0 })!;
  const held = new Instances(PLAN, holding, (offset) => commits.finish(holding, offset));
  let next = 0;
  const take = (id: string, progress: Progress, time = NOW) => {
    const offset = next++;
    holding.tracker.begin(offset);
    return held.take({ offset, timestamp: time } as StoredRecord, id, progress);
  };
  return { held, take, holding, next: () => holding.tracker.next, commits };
}

test('an unfinished instance holds its first record back, and nothing else', () => {
  const { take, holding, next, commits } = partition();
  take('x', started);
  take('y', started);
  take('x', done);
  expect(next()).toBe(null);
  expect(holding.tracker.open).toBe(3);
  commits.forget();
});

test('one that is over is remembered, unless it holds too much back', () => {
  const { held, take, next, commits } = partition();
  take('x', started);
  take('x', done);
  take('x', ended);
  held.sweep(NOW, () => {});
  expect(next()).toBe(null);
  expect(held.find('x')!.state.status).toBe('ended');
  // Of a record that is for nobody.
  for (let i = 0; i < 5_001; i++) take('z', done);
  held.sweep(NOW, () => {});
  expect(held.find('x')).toBe(undefined);
  expect(next()).toBe(5_004);
  commits.forget();
});

test('one that is behind is stored again, and then the place of the stored state counts', () => {
  const { held, take, next, commits } = partition();
  take('x', started);
  expect(held.sweep(NOW, () => {})).toEqual([]);
  for (let i = 0; i < 5_001; i++) take('z', done);
  const [behind] = held.sweep(NOW, () => {});
  expect(behind!.state.id).toBe('x');
  behind!.storing = 'yes';
  expect(held.sweep(NOW, () => {})).toEqual([]);
  const stored: Progress = { kind: 'state', state: structuredClone(behind!.state) };
  take('x', stored);
  expect(next()).toBe(5_002);
  expect(behind!.storing).toBe('no');
  expect(held.sweep(NOW, () => {})).toEqual([]);
  commits.forget();
});

test('a state that was stored too late does not count', () => {
  const { held, take, next, commits } = partition();
  const instance = take('x', started)!;
  const stored: Progress = { kind: 'state', state: structuredClone(instance.state) };
  take('x', done);
  take('x', stored);
  expect(next()).toBe(null);
  expect(held.find('x')!.state.status).toBe('ending');
  commits.forget();
});

test('one that is old is stored again before the topic forgets it', () => {
  const { held, take, commits } = partition();
  take('x', started, NOW - 13 * 3_600_000);
  take('y', started, NOW - 11 * 3_600_000);
  expect(held.sweep(NOW, () => {}).map(({ state }) => state.id)).toEqual(['x']);
  commits.forget();
});

test('an event whose instance does not come is given up', () => {
  const { held, take, next, commits } = partition();
  take('x', { kind: 'arrived', step: 'a', event: '{}' });
  const unmatched: string[] = [];
  held.sweep(NOW + 599_000, ({ state }) => unmatched.push(state.id));
  expect(unmatched).toEqual([]);
  held.sweep(NOW + 601_000, ({ state }) => unmatched.push(state.id));
  expect(unmatched).toEqual(['x']);
  expect(next()).toBe(1);
  commits.forget();
});

test('nothing is begun before all is read that was there at the beginning', () => {
  const { held, take, commits } = partition();
  held.reads(2);
  take('x', started);
  expect(held.becomesReady()).toBe(false);
  held.reads(9);
  take('x', done);
  expect(held.becomesReady()).toBe(true);
  expect(held.becomesReady()).toBe(false);
  commits.forget();
});
