import { describe, expect, test } from 'vitest';
import { emptyState, type State } from '../../src/workflows/state.ts';
import { compileWait } from '../../src/workflows/wait.ts';
import { compileWhen } from '../../src/workflows/when.ts';
import { stored } from '../dispatcher/records.ts';

const state = (input: unknown, results: Record<string, unknown> = {}): State => ({
  ...emptyState('o-1'),
  status: 'running',
  input: JSON.stringify({ specversion: '1.0', id: 'o-1', source: '/s', type: 't', data: input }),
  results: Object.fromEntries(Object.entries(results).map(([name, value]) => [name, JSON.stringify(value)])),
});
const event = (data: unknown) =>
  JSON.stringify({ specversion: '1.0', id: 'a', source: '/s', type: 'approval', data });

describe('the filter of a wait', () => {
  test('says which instance an event is for, whatever side the id is on', () => {
    for (const text of [
      'event.data.order == workflow.id',
      'workflow.id == event.data.order',
      'event.type == "shop.order" && (workflow.id == event.data.order && event.data.ok)',
      '(event.data.order + "") == workflow.id',
      'event.data.parts.map(p, p)[0] + event.data.rest == workflow.id',
    ]) {
      const record = stored('{"order":"o-1","ok":true,"parts":["o"],"rest":"-1"}');
      expect([text, compileWait(text).idOf(record)]).toEqual([text, 'o-1']);
    }
  });

  test('takes only texts for ids', () => {
    const { idOf } = compileWait('event.data.order == workflow.id');
    const ids = ['{"order":12}', '{"order":""}', '{"order":null}', '{"order":[1]}', '{}', 'no JSON'].map(
      (text) => idOf(stored(text)),
    );
    expect(ids).toEqual([null, null, null, null, null, null]);
    const asText = compileWait('string(event.data.order) == workflow.id');
    expect(asText.idOf(stored('{"order":12}'))).toBe('12');
    expect(idOf(stored(JSON.stringify({ order: 'x'.repeat(4097) })))).toBe(null);
  });

  test('leaves out at once what it can tell without the instance, and asks the instance for the rest', () => {
    const plain = compileWait('event.data.order == workflow.id && event.data.ok');
    expect(plain.idOf(stored('{"order":"o-1","ok":false}'))).toBe(null);
    const more = compileWait(
      'event.data.order == workflow.id && event.data.sum >= workflow.input.data.total',
    );
    expect(more.idOf(stored('{"order":"o-1","sum":1}'))).toBe('o-1');
    expect(more.matches(state({ total: 2 }), event({ order: 'o-1', sum: 1 }))).toBe(false);
    expect(more.matches(state({ total: 2 }), event({ order: 'o-1', sum: 2 }))).toBe(true);
    expect(more.matches(state({ total: 2 }), event({ order: 'o-2', sum: 2 }))).toBe(false);
    const results = compileWait('event.data.order == workflow.id && event.data.n == workflow.results.a.n');
    expect(results.matches(state({}, { a: { n: 4 } }), event({ order: 'o-1', n: 4 }))).toBe(true);
    expect(results.matches(state({}), event({ order: 'o-1', n: 4 }))).toBe(false);
  });

  test('that cannot find an instance is refused', () => {
    for (const text of [
      'event.data.ok',
      'event.data.order == workflow.id || event.data.ok',
      'event.data.order != workflow.id',
      'event.data.order == workflow.input.id',
      'workflow.id == workflow.id',
      '!(event.data.order == workflow.id)',
    ])
      expect(() => compileWait(text), text).toThrow('workflow.id');
    expect(() => compileWait('event.data.order ==')).toThrow();
    expect(() => compileWait('event.data.order == workflow.id')).not.toThrow();
  });
});

describe('when', () => {
  test('sees the event, the id and the results', () => {
    const one = state({ total: 12, tags: ['a'] }, { check: { risk: 0.2 }, text: 'ok' });
    const yes = [
      'workflow.input.data.total > 10.0',
      'workflow.id == "o-1" && workflow.input.id == "o-1"',
      'workflow.results.check.risk < 0.5',
      'workflow.results.text == "ok"',
      '"a" in workflow.input.data.tags',
      '!has(workflow.results.other)',
      'event.data.total == 12',
    ];
    for (const text of yes) expect([text, compileWhen(text)(one)]).toEqual([text, true]);
    expect(compileWhen('workflow.input.data.total > 100.0')(one)).toBe(false);
  });

  test('has no answer where something is missing or is no bool', () => {
    const one = state({ total: 'many' });
    for (const text of [
      'workflow.results.check.risk < 0.5',
      'workflow.input.data.total > 1.0',
      'workflow.input',
    ])
      expect([text, compileWhen(text)(one)]).toEqual([text, null]);
    expect(() => compileWhen('workflow.input.data.total + 1')).not.toThrow();
    expect(() => compileWhen('1 + 1')).toThrow('bool');
    expect(() => compileWhen('other.x')).toThrow();
  });

  test('is not led astray by names of members', () => {
    const one = state({ constructor: { x: 1 } }, { constructor: { ok: true } });
    expect(compileWhen('workflow.results.constructor.ok')(one)).toBe(true);
    expect(compileWhen('workflow.input.data.constructor.x == 1')(one)).toBe(true);
  });
});
