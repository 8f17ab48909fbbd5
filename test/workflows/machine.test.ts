import { describe, expect, test } from 'vitest';
import { actionsOf } from '../../src/workflows/actions.ts';
import { MAX_INSTANCE } from '../../src/workflows/advance.ts';
import { apply } from '../../src/workflows/machine.ts';
import type { Plan, PlannedStep } from '../../src/workflows/plan.ts';
import type { CallEnded, Progress } from '../../src/workflows/progress.ts';
import type { State } from '../../src/workflows/state.ts';

const call = (name: string, changes: Partial<PlannedStep> = {}): PlannedStep => ({
  name,
  undo: true,
  when: null,
  wait: null,
  ...changes,
});
const waiting = (name: string): PlannedStep => ({
  name,
  undo: false,
  when: null,
  wait: { timeout: 1000, matches: (_, event) => event.includes('"ok"') },
});
const plan = (...stages: PlannedStep[][]): Plan => ({ stages, timeout: 60_000 });

const started: Progress = { kind: 'started', event: '{"id":"o"}', source: '/shop', trace: {} };
const ended = (step: string, changes: Partial<CallEnded> = {}): Progress => ({
  kind: 'called',
  step,
  undo: false,
  undoable: false,
  round: 0,
  failure: null,
  unsure: false,
  result: null,
  ...changes,
});
const refused = (step: string): Progress =>
  ended(step, { failure: { step, reason: 'refused', detail: 'HTTP 422' } });
const lost = (step: string): Progress =>
  ended(step, { failure: { step, reason: 'timeout', detail: '' }, unsure: true });
const undone = (step: string): Progress => ended(step, { undo: true });

/** One instance of a plan, record by record. */
class Instance {
  readonly #plan: Plan;
  state: State | null = null;
  #offset = 100;

  constructor(of: Plan, ...records: Progress[]) {
    this.#plan = of;
    for (const record of records) this.take(record);
  }

  take(record: Progress): this {
    const offset = this.#offset++;
    const before = JSON.stringify(this.state);
    const after = apply(this.#plan, this.state, 'o', { offset, time: 1_000 * offset }, record);
    // What went in is as it was: it may be in use elsewhere.
    expect(JSON.stringify(this.state)).toBe(before);
    this.state = after;
    return this;
  }

  get actions(): string[] {
    return this.state === null ? [] : actionsOf(this.#plan, this.state).map(({ key }) => key);
  }

  get steps(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.state!.steps).map(([name, { state }]) => [name, state]));
  }
}

describe('steps', () => {
  test('are called one after the other, and each may answer something', () => {
    const one = new Instance(plan([call('a')], [call('b')]), started);
    expect(one.actions).toEqual(['do/a/0', 'timeout']);
    one.take(ended('a', { result: '{"n":1}' }));
    expect(one.actions).toEqual(['do/b/0', 'timeout']);
    one.take(ended('b'));
    expect(one.state).toMatchObject({ status: 'ending', outcome: 'done', results: { a: '{"n":1}' } });
    expect(one.actions).toEqual(['end']);
    one.take({ kind: 'ended', outcome: 'done' });
    expect(one.state).toMatchObject({ status: 'ended', outcome: 'done', input: '', results: {} });
    expect(one.actions).toEqual([]);
  });

  test('that were done are undone from the last one on when one is refused', () => {
    const one = new Instance(plan([call('a')], [call('b', { undo: false })], [call('c')], [call('d')]));
    for (const record of [started, ended('a'), ended('b'), ended('c'), refused('d')]) one.take(record);
    expect(one.actions).toEqual(['undo/c/0']);
    one.take(undone('c'));
    expect(one.actions).toEqual(['undo/a/0']);
    one.take(undone('a'));
    expect(one.state).toMatchObject({ status: 'ending', outcome: 'undone' });
    expect(one.state!.failure).toEqual({ step: 'd', reason: 'refused', detail: 'HTTP 422' });
  });

  test('of which it is not known whether they were done are undone too', () => {
    const one = new Instance(plan([call('a')], [call('b')]), started, ended('a'), lost('b'));
    expect(one.actions).toEqual(['undo/b/0']);
    one.take(undone('b'));
    expect(one.actions).toEqual(['undo/a/0']);
  });

  test('of one stage run side by side, and the others end before anything is undone', () => {
    const one = new Instance(plan([call('a')], [call('b'), call('c')]), started, ended('a'));
    expect(one.actions).toEqual(['do/b/0', 'do/c/0', 'timeout']);
    one.take(refused('b'));
    expect(one.actions).toEqual(['do/c/0']);
    expect(actionsOf(plan(), one.state!)[0]).toMatchObject({ hurry: true });
    one.take(ended('c'));
    expect(one.actions).toEqual(['undo/c/0']);
  });

  test('are skipped by `when`, and one whose `when` has no answer has failed', () => {
    const hasResult = ({ results }: State) => results.a !== undefined;
    const flow = plan([call('a')], [call('b', { when: hasResult })], [call('c')]);
    const one = new Instance(flow, started, ended('a'));
    expect(one.steps).toEqual({ a: 'done', b: 'skipped', c: 'running' });
    expect(new Instance(flow, started, ended('a', { result: '1' })).actions).toContain('do/b/0');
    const bad = new Instance(plan([call('a')], [call('b', { when: () => null })]), started, ended('a'));
    expect(bad.state!.failure).toMatchObject({ step: 'b', reason: 'when_failed' });
    expect(bad.actions).toEqual(['undo/a/0']);
  });

  test('may be called like members of any object', () => {
    const one = new Instance(plan([call('constructor')], [call('toString')]), started);
    expect(one.actions).toEqual(['do/constructor/0', 'timeout']);
    one.take(ended('constructor'));
    expect(one.actions).toEqual(['do/toString/0', 'timeout']);
  });
});

describe('waiting', () => {
  const flow = plan([call('a')], [waiting('w')], [call('b')]);
  const arrived = (event: string, step = 'w'): Progress => ({ kind: 'arrived', step, event });

  test('ends with the first event that matches', () => {
    const one = new Instance(flow, started, ended('a'));
    expect(one.actions).toEqual(['wait/w/101', 'timeout']);
    one.take(arrived('{"no":1}'));
    expect(one.actions).toEqual(['wait/w/101', 'timeout']);
    one.take(arrived('{"ok":1}')).take(arrived('{"ok":2}'));
    expect(one.state!.results).toEqual({ w: '{"ok":1}' });
    expect(one.actions).toEqual(['do/b/0', 'timeout']);
  });

  test('uses an event that came before it, or before the instance', () => {
    const before = new Instance(flow, started, arrived('{"ok":1}'), ended('a'));
    expect(before.actions).toEqual(['do/b/0', 'timeout']);
    const first = new Instance(flow, arrived('{"no":1}'), arrived('{"ok":1}'));
    expect(first.state!.status).toBe('expected');
    expect(first.actions).toEqual([]);
    first.take(started).take(ended('a'));
    expect(first.actions).toEqual(['do/b/0', 'timeout']);
    expect(first.state!.arrivals).toEqual([]);
  });

  test('that takes too long fails; an older timer does not count', () => {
    const one = new Instance(flow, started, ended('a'));
    one.take({ kind: 'expired', step: 'w', at: 99 });
    expect(one.actions).toEqual(['wait/w/101', 'timeout']);
    one.take({ kind: 'expired', step: 'w', at: 101 });
    expect(one.state!.failure).toMatchObject({ step: 'w', reason: 'timeout' });
    expect(one.actions).toEqual(['undo/a/0']);
  });

  test('begins its time with the record that began it', () => {
    const one = new Instance(flow, started, ended('a'));
    expect(actionsOf(flow, one.state!)).toEqual([
      { kind: 'timer', key: 'wait/w/101', step: 'w', at: 101, due: 102_000, length: 1000 },
      { kind: 'timer', key: 'timeout', step: null, at: 0, due: 160_000, length: 60_000 },
    ]);
  });
});

describe('the whole', () => {
  const flow = plan([call('a')], [call('b')]);

  test('that takes too long waits for the call under way, then is undone', () => {
    const one = new Instance(flow, started, ended('a')).take({ kind: 'expired', step: null, at: 0 });
    expect(one.actions).toEqual(['do/b/0']);
    one.take(ended('b'));
    expect(one.actions).toEqual(['undo/b/0']);
    one.take(undone('b')).take(undone('a'));
    expect(one.state).toMatchObject({ status: 'ending', outcome: 'undone', failure: { reason: 'timeout' } });
  });

  test('is undone when it is cancelled', () => {
    const one = new Instance(flow, started, { kind: 'cancel' }, ended('a'));
    expect(one.actions).toEqual(['undo/a/0']);
    expect(one.state!.failure!.reason).toBe('cancelled');
  });

  test('that cannot be undone waits for people: to try again, or to leave it at that', () => {
    const failing: Progress = ended('a', {
      undo: true,
      failure: { step: 'a', reason: 'refused', detail: '' },
    });
    const one = new Instance(flow, started, ended('a'), refused('b'), failing);
    expect(one.state!.status).toBe('failed');
    expect(one.actions).toEqual(['tell/0']);
    one.take({ kind: 'told', round: 0 });
    expect(one.actions).toEqual([]);
    one.take({ kind: 'retry' });
    expect(one.actions).toEqual(['undo/a/1']);
    // An answer from before.
    one.take(failing);
    expect(one.actions).toEqual(['undo/a/1']);
    one.take(ended('a', { undo: true, round: 1 }));
    expect(one.state).toMatchObject({ status: 'ending', outcome: 'undone' });

    const other = new Instance(flow, started, ended('a'), refused('b'), failing, { kind: 'cancel' });
    expect(other.state!.status).toBe('failed');
    other.take({ kind: 'leave', round: 0 });
    expect(other.state).toMatchObject({ status: 'ending', outcome: 'failed' });
  });

  test('that carries too much is undone', () => {
    const one = new Instance(flow, started, ended('a', { result: `"${'x'.repeat(MAX_INSTANCE)}"` }));
    expect(one.state!.failure!.reason).toBe('too_large');
    expect(one.actions).toEqual(['undo/a/0']);
  });

  test('goes on from a stored state, unless that is older than what is known', () => {
    const one = new Instance(flow, started, ended('a'));
    const stored: Progress = { kind: 'state', state: structuredClone(one.state!) };
    const other = new Instance(flow).take(ended('b')).take(stored);
    expect(other.state).toEqual(one.state);
    one.take(ended('b')).take(stored);
    expect(one.state!.status).toBe('ending');
  });

  test('that was begun twice is one, and one that is over stays so', () => {
    const one = new Instance(flow, started, ended('a'), started, ended('a'));
    expect(one.actions).toEqual(['do/b/0', 'timeout']);
    const over = new Instance(flow, { kind: 'ended', outcome: 'done' }, started);
    expect(over.state!.status).toBe('ended');
    expect(over.actions).toEqual([]);
    expect(new Instance(flow, ended('a')).state).toBe(null);
  });
});

describe('after a change of the config', () => {
  test('steps that are gone are still undone by those who know how', () => {
    const before = new Instance(plan([call('a')], [call('old')], [call('b')]));
    for (const record of [started, ended('a'), ended('old')]) before.take(record);
    const after = new Instance(plan([call('a')], [call('b')]));
    after.state = before.state;
    after.take(refused('b'));
    expect(after.actions).toEqual(['undo/old/0']);
  });

  test('a step that is gone is undone also when all is read again under the new config', () => {
    const one = new Instance(plan([call('a')], [call('b')]), started);
    one
      .take(ended('old', { undoable: true }))
      .take(ended('a'))
      .take(refused('b'));
    expect(one.actions).toEqual(['undo/old/0']);
  });

  test('an instance that is over under the new config is undone if it was being undone under the old one', () => {
    const records = [started, ended('a', { undoable: true }), ended('b', { undoable: true }), refused('old')];
    const one = new Instance(plan([call('a')], [call('b')]), ...records);
    expect(one.actions).toEqual(['undo/b/0']);
    const other = new Instance(plan([call('a')], [call('b')]), ...records.slice(0, 3), undone('b'));
    expect(other.actions).toEqual(['undo/a/0']);
    expect(other.state!.failure!.reason).toBe('config_changed');
  });

  test('a step that was done under another config counts as done', () => {
    const one = new Instance(plan([call('a')], [call('b')]), started, ended('a'), ended('b'));
    const other = new Instance(plan([call('a')], [call('new')], [call('b')]));
    other.state = structuredClone(one.state!);
    expect(other.actions).toEqual(['end']);
  });
});
