import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkAll } from '../../src/cli/check.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-check-'));
  mkdirSync(join(folder, 'schemas'));
  schema('track.json', { type: 'object' });
});
afterEach(() => rmSync(folder, { recursive: true }));

function schema(name: string, content: object): void {
  writeFileSync(join(folder, 'schemas', name), JSON.stringify(content));
}

async function check(text: string): Promise<string[]> {
  const problems = await checkAll({ file: join(folder, 'postern.yaml'), text, env: {} });
  return problems.map(({ file, line, pointer, message }) => {
    const name = file.slice(file.lastIndexOf('/') + 1);
    return `${name}${line === undefined ? '' : `:${line}`} ${pointer} ${message}`;
  });
}

test('five mistakes of five kinds are all named, each with its line', async () => {
  const problems = await check(`
log: { embedded: {} }
dedupe:
  embedded: {}
  window: 1 day
sources:
  web:
    topic: clicks
    shema: track
    keys: ['\${WEB_KEY}']
  app:
    topic: clicks
    schema: trakc
subscriptions:
  print:
    topics: [clicks]
    filter: event.type ==
    function: { http: { url: 'http://127.0.0.1:1/' } }
`);
  expect(problems).toEqual([
    expect.stringMatching(/^postern.yaml:5 \/dedupe\/window must be a duration/),
    'postern.yaml:9 /sources/web/shema unknown key; did you mean schema?',
    expect.stringMatching(
      /^postern.yaml:10 \/sources\/web\/keys\/0 the environment variable WEB_KEY is not set/,
    ),
    'postern.yaml:13 /sources/app/schema there is no schema trakc; the schemas are track',
    expect.stringMatching(/^postern.yaml:17 \/subscriptions\/print\/filter is not CEL/),
  ]);
});

const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';

test('C20 what is wrong with a schema is listed with the file', async () => {
  schema('bad.json', { type: 'object', properties: { a: { minLenght: 1 } } });
  expect(await check(`${STORES}sources: { s: { topic: t, schema: bad } }`)).toEqual([
    'postern.yaml:3 /sources/s/schema schema bad has errors',
    expect.stringMatching(/^bad.json.*\/properties\/a/),
  ]);
});

test('schemas per type are looked up one by one; a pointer or a missing folder is another matter', async () => {
  expect(
    await check(
      `${STORES}sources: { s: { topic: t, schema: { a: track, b: none } }, p: { topic: t, schema: /x } }`,
    ),
  ).toEqual(['postern.yaml:3 /sources/s/schema/b there is no schema none; the schemas are track']);
  expect(await check(`${STORES}schemas: ./nowhere`)).toEqual([
    expect.stringMatching(/^postern.yaml:3 \/schemas cannot be read/),
  ]);
});

test('secrets are read from files next to the config', async () => {
  writeFileSync(join(folder, 'key'), 'a secret that is long enough\n');
  expect(await check(`${STORES}sources: { s: { topic: t, keys: ['file:key'] } }`)).toEqual([]);
  expect(await check(`${STORES}sources: { s: { topic: t, keys: ['file:none'] } }`)).toEqual([
    expect.stringMatching(/^postern.yaml:3 \/sources\/s\/keys\/0 cannot be read from its file/),
  ]);
});

test('what is wrong with streams is told with its place', async () => {
  const problems = await check(`
log: { kafka: { brokers: [k] } }
dedupe: { embedded: {} }
sources: { web: { topic: clicks } }
streams:
  round: { topics: [clicks], window: { tumbling: 1m }, aggregate: { n: count() }, emit: { topic: clicks, type: x } }
  own: { topics: [own.late], window: { tumbling: 1m }, aggregate: { n: count() }, emit: { topic: o, type: x } }
  cel:
    topics: [clicks]
    filter: event.type ==
    window: { sliding: 2h, every: 1m }
    aggregate: { n: counted(), start: count() }
    emit: { topic: o, type: x, on: threshold }
`);
  const about = problems
    .filter((line) => /dedupe|streams/.test(line))
    .map((line) => line.split(' ').slice(1).join(' '));
  expect(about).toEqual([
    expect.stringMatching(/^\/dedupe is not shared/),
    expect.stringMatching(/^\/streams\/round\/emit\/topic clicks is among its own topics/),
    expect.stringMatching(/^\/streams\/own\/topics\/0 own\.late is a topic that this stream writes itself/),
    expect.stringMatching(/^\/streams\/cel\/having is missing/),
    expect.stringMatching(/^\/streams\/cel\/filter Unexpected/),
    expect.stringMatching(/^\/streams\/cel\/window\/every makes more than 60 windows overlap/),
    expect.stringMatching(/^\/streams\/cel\/aggregate\/n must be one of count/),
    expect.stringMatching(/^\/streams\/cel\/aggregate\/start is no name/),
  ]);
});
