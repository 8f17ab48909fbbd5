import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryPayload } from '../../src/cli/try.ts';
import { readConfig } from '../../src/config/read.ts';

let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'postern-try-'));
  mkdirSync(join(base, 'schemas'));
});
afterEach(() => rmSync(base, { recursive: true }));

/** The line of each event that says where it goes. */
async function goesTo(subscriptions: string, events: unknown[]): Promise<string[]> {
  const text = `
log: { embedded: {} }
dedupe: { embedded: {} }
sources:
  s: { protocol: events, topic: t, id: [/id], type: /kind, keys: [a-key-that-is-long-enough] }
subscriptions:
${subscriptions}`;
  const { config, problems } = readConfig(text, {}, { file: 'p.yaml', readFile: () => '' });
  expect(problems.filter(({ level }) => level === 'error')).toEqual([]);
  const bytes = Buffer.from(JSON.stringify(events));
  const result = await tryPayload({
    config: config!,
    base,
    source: 's',
    contentType: 'application/json',
    bytes,
  });
  return [...result.text.matchAll(/goes to (.*)/g)].map((match) => match[1]!);
}

test('says which subscriptions match, by filters and by expressions', async () => {
  const fn = `topics: [t], function: { http: { url: 'http://127.0.0.1:1/' } }`;
  const subscriptions = `
  all: { ${fn} }
  paid: { ${fn}, filters: [{ exact: { type: order.paid } }] }
  orders: { ${fn}, filters: [{ prefix: { type: order. } }, { not: { suffix: { id: '-test' } } }] }
  large: { ${fn}, filters: [{ prefix: { type: order. } }], filter: event.data.total > 100 }`;
  const events = [
    { id: '1', kind: 'order.paid', total: 150 },
    { id: '2-test', kind: 'order.paid', total: 1 },
    { id: '3', kind: 'order.placed' },
    { id: '4', kind: 'visit', total: 150 },
  ];
  expect(await goesTo(subscriptions, events)).toEqual([
    'all, paid, orders, large',
    'all, paid',
    'all, orders',
    'all',
  ]);
});

test('says which streams count an event', async () => {
  const streams = `
streams:
  all: { topics: [t], window: { tumbling: 1m }, aggregate: { n: count() }, emit: { topic: o, type: x } }
  some:
    topics: [t]
    filter: event.type == "a"
    window: { session: 1m }
    aggregate: { n: count() }
    emit: { topic: o, type: x }
  other: { topics: [u], window: { count: 2 }, aggregate: { n: count() }, emit: { topic: o, type: x } }`;
  const found = await goesTo(`  {}${streams}`, [
    { id: 1, kind: 'a' },
    { id: 2, kind: 'b' },
  ]);
  expect(found).toEqual(['stream all, stream some', 'stream all']);
});

test('a payload cannot steer the terminal that it is shown on', async () => {
  const id = 'a\u202eb\u2028event 9: accepted\ufeff';
  const text = `
log: { embedded: {} }
dedupe: { embedded: {} }
sources: { s: { topic: t, id: [/id], type: /kind, key: /id } }`;
  const { config } = readConfig(text, {}, { file: 'p.yaml' });
  const bytes = Buffer.from(JSON.stringify({ id, kind: id }));
  const result = await tryPayload({
    config: config!,
    base,
    source: 's',
    contentType: 'application/json',
    bytes,
  });
  expect(result.text).toContain('id      a\\u202eb\\u2028event 9: accepted\\ufeff');
  expect(result.text).not.toMatch(/[\u202e\u2028\ufeff]/);
});
