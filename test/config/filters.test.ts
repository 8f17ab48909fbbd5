import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/read.ts';

/** Problems of a subscription with these filters, without what comes before the filters in their pointers. */
function problems(filters: unknown): string[] {
  const text = JSON.stringify({
    log: { embedded: {} },
    dedupe: { embedded: {} },
    sources: { s: { topic: 't', keys: ['secret-key-of-a-source'] } },
    subscriptions: { f: { topics: ['t'], filters, function: { http: { url: 'http://x' } } } },
  });
  const { problems } = readConfig(text, {}, { file: 'p.yaml', readFile: () => '' });
  return problems.map(
    ({ pointer, message }) => `${pointer.replace('/subscriptions/f/filters', '')}: ${message}`,
  );
}

test('filters of every dialect are taken', () => {
  const all = [
    { exact: { type: 'a', subject: 'b' } },
    { prefix: { source: 'a' } },
    { suffix: { ext1: 'a' } },
    { all: [{ any: [{ exact: { type: 'a' } }, { not: { exact: { type: 'b' } } }] }] },
  ];
  expect(problems(all)).toEqual([]);
  expect(problems([])).toEqual([]);
});

test('what can never hold, or always does, is refused with its place', () => {
  const wrong = [
    { exact: {} },
    { all: [] },
    { not: { any: [] } },
    { prefix: { Type: 'private value' } },
    { suffix: { 'my-type': 'private value', data: 'private value' } },
    { exact: { type: '' } },
    { any: [{ exact: { type: 'a' } }, { exact: { subject: 'half \ud83d' } }] },
  ];
  const found = problems(wrong);
  expect(found).toEqual([
    '/0/exact: names no attribute',
    '/1/all: names no filter',
    '/2/not/any: names no filter',
    '/3/prefix/Type: must be lower-case letters and digits',
    '/4/suffix/my-type: must be lower-case letters and digits',
    '/4/suffix/data: is not an attribute; use filter for fields of the data',
    '/5/exact/type: is empty',
    '/6/any/1/exact/subject: is not Unicode text',
  ]);
  expect(found.join()).not.toContain('private');
});

test('dialects that are unknown, or two at once, are refused', () => {
  expect(problems([{ sql: "type = 'a'" }])[0]).toMatch(/^\/0\/sql: unknown key/);
  const one = ['/0: needs one of exact, prefix, suffix, all, any, not'];
  expect(problems([{ exact: { type: 'a' }, prefix: { type: 'a' } }])).toEqual(one);
  expect(problems([{}])).toEqual(one);
  expect(problems([{ exact: { type: 5 } }])[0]).toMatch(/^\/0\/exact\/type/);
});

test('filters may be 16 deep', () => {
  const deep = (depth: number): object => (depth === 1 ? { exact: { type: 'a' } } : { not: deep(depth - 1) });
  expect(problems([deep(16)])).toEqual([]);
  expect(problems([deep(17)])).toEqual([`/0${'/not'.repeat(16)}: is more than 16 filters deep`]);
  expect(problems([deep(25)])).toEqual([`/0${'/not'.repeat(16)}: is more than 16 filters deep`]);
});
