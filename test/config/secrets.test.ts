import { expect, test } from 'vitest';
import { checkAll } from '../../src/cli/check.ts';
import { readConfig } from '../../src/config/read.ts';
import { configShape } from '../../src/config/shape.ts';

interface Node {
  writeOnly?: boolean;
  properties?: Record<string, Node>;
  additionalProperties?: boolean | Node;
  items?: Node;
}

/** Every place of the shape where a secret stands, with the names of its neighbours; names of maps are `x`. */
function secretPlaces(node: Node, path: string[] = [], neighbours: string[] = []): Place[] {
  const { properties = {}, additionalProperties: more, items } = node;
  const names = Object.keys(properties);
  const below = [
    ...names.flatMap((name) => secretPlaces(properties[name]!, [...path, name], names)),
    ...(typeof more === 'object' ? secretPlaces(more, [...path, 'x'], []) : []),
    ...(items === undefined ? [] : secretPlaces(items, [...path, '0'], [])),
  ];
  return node.writeOnly ? [{ path, neighbours }, ...below] : below;
}
interface Place {
  path: string[];
  neighbours: string[];
}
const PLACES = secretPlaces(configShape as unknown as Node);

/** A document with one value at a path; numbers are places of lists. */
function documentOf(path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  const inner = documentOf(rest, value);
  return first === '0' ? [inner] : { [first]: inner };
}

/** Wrong places and wrong shapes of a secret that belongs to `path`. */
function* misplaced({ path, neighbours }: Place, secret: string, digits: number): Generator<unknown> {
  const shapes = [secret, digits, [secret], [[secret]], { [secret]: null }, [{ [secret]: null }]];
  const named = [{ key: secret }, { value: secret }, { [secret]: { a: 1 } }, { secret: [digits] }];
  // At its own place, one level too low, and every level too high.
  for (const shape of [...shapes, ...named]) yield documentOf(path, shape);
  for (let length = path.length - 1; length > 0; length--) {
    for (const shape of shapes) yield documentOf(path.slice(0, length), shape);
    const wrong = `${path[length - 1]}x`;
    yield documentOf([...path.slice(0, length - 1), wrong, ...path.slice(length)], secret);
  }
  const parent = path.slice(0, -1);
  for (const name of [...neighbours, `${path.at(-1)}s`, 'scret', 'Password'])
    if (name !== path.at(-1)) yield documentOf([...parent, name], secret);
}

/** The texts of documents, each once; sources, subscriptions and workflows go together, as each test of a text takes its time. */
function bundled(documents: unknown[]): string[] {
  const texts = [...new Set(documents.map((document) => JSON.stringify(document)))];
  const inMap = (text: string) => /^\{"\w+":\{"x":/.test(text);
  const parts = Map.groupBy(texts.filter(inMap), (text) => text.slice(0, text.indexOf('{"x"')));
  const together = [...parts].flatMap(([head, members]) =>
    Array.from({ length: Math.ceil(members.length / 25) }, (_, chunk) => {
      const some = members.slice(chunk * 25, chunk * 25 + 25);
      const named = some.map((text, index) => `"x${index}":${text.slice(head.length + 5, -2)}`);
      return `${head}{${named.join()}}}`;
    }),
  );
  return [...texts.filter((text) => !inMap(text)), ...together];
}

const printed = (text: string, env: Record<string, string> = {}) =>
  JSON.stringify(readConfig(text, env, { file: 'p.yaml' }).problems);

test('no problem repeats a secret, in whatever shape and place it stands', { tags: ['slow'] }, () => {
  const secret = 'S3cr3t-0f-The-House';
  const digits = 84_172_635_490;
  // The functions of workflows have the shape of those of subscriptions: one of each kind will do.
  const places = PLACES.filter(({ path }) => path[0] !== 'workflows' || /bearer|sign/.test(path.join()));
  expect(places.length).toBeGreaterThan(30);
  const documents = places.flatMap((place) => [...misplaced(place, secret, digits)]);
  const texts = bundled(documents);
  expect(documents.length).toBeGreaterThan(1000);
  for (const text of texts) {
    const found = printed(text);
    if (found.includes(secret) || found.includes(String(digits))) expect.fail(`${text} is answered ${found}`);
  }
});

test('nor one that a variable brings, nor one that is an ordinary word', () => {
  const places = PLACES.filter(({ path }) => path[0] !== 'workflows');
  const levels = places.flatMap(({ path }) => path.map((_, index) => path.slice(0, index + 1)));
  const documents = levels.flatMap((path) =>
    ['${V}', { a: '${V}' }, 'correcthorsebattery'].map((shape) => documentOf(path, shape)),
  );
  for (const text of bundled(documents)) {
    const found = printed(text, { V: 'correct horse' });
    expect([text, /correct ?horse/.test(found)]).toEqual([text, false]);
  }
});

test('a key that is put where the pointer to the Kafka key belongs is not shown', () => {
  const source = (rest: string) =>
    `log: { embedded: {} }\ndedupe: { embedded: {} }\nsources: { s: { topic: t, ${rest} } }`;
  for (const rest of [
    'key: MyWriteKey',
    'id: [MyWriteKey]',
    'id: MyWriteKey',
    'schema: [MyWriteKey]',
    'keys: MyWriteKey',
  ]) {
    const found = printed(source(rest));
    expect([rest, found]).toEqual([rest, expect.stringContaining('this is ')]);
    expect(found).not.toContain('MyWriteKey');
  }
});

test('text that is not YAML is not repeated either', () => {
  const secret = 's3cr3tOfTheHouse';
  const lines = [
    `*${secret}`,
    `!${secret}`,
    `!${secret} x`,
    `!<${secret}`,
    `!a!${secret} x`,
    `!!${secret} x`,
    `"\\${secret}"`,
    `"${secret}`,
    `'${secret}`,
    `@${secret}`,
    `\`${secret}`,
    `[${secret}`,
    `{${secret}`,
    `"a" ${secret}`,
    `|${secret}`,
    `> ${secret}`,
    `&a &${secret} b`,
    `\${${secret}}`,
    `\${${secret}`,
    `'\${${secret}:${secret}}'`,
    `x: ${secret}`,
    `- ${secret}`,
    `? ${secret}`,
    `${secret}: ${secret}: x`,
    `{ ${secret}: 1, ${secret}: 2 }`,
    `x\n%${secret} x\n---`,
    `x\n${secret}`,
    `x\n\t${secret}: 1`,
  ];
  for (const line of lines) {
    const found = printed(
      `log: { embedded: {} }\ndedupe:\n  redis:\n    cluster:\n      password: ${line}\n`,
    );
    expect([line, found]).toEqual([line, expect.stringContaining('error')]);
    expect([line, found.includes(secret)]).toEqual([line, false]);
  }
  expect(printed(`%${secret}\n---\nlog: 1`)).not.toContain(secret);
});

test('what can only be a setting is shown as before', () => {
  const found = (text: string) =>
    readConfig(text, {}, { file: 'p.yaml' }).problems.map(({ pointer, message }) => `${pointer}: ${message}`);
  const texts: [string, string][] = [
    ['grace: 30', 'and ms, s, m, h or d, such as 500ms or 24h; this is 30'],
    ['gateway: { limits: { body: 1 MiB } }', 'such as 256KiB; this is "1 MiB"'],
    ['gateway: { limits: { batch: 0 } }', 'must be >= 1; this is 0'],
    ['log: { kafka: { sasl: { mechanism: PLAIN } } }', 'scram-sha-512; this is "PLAIN"'],
    ['sources: { s: { protocol: event } }', 'events, segment, webhook; this is "event"'],
    ['logLevel: verbose', 'this is "verbose"'],
    ['gatewya: {}', '/gatewya: unknown key; did you mean gateway?'],
    ['sources: { s: { retires: 3 } }', '/sources/s/retires: unknown key'],
  ];
  for (const [text, message] of texts)
    expect([text, found(text).join('\n')]).toEqual([text, expect.stringContaining(message)]);
});

test('check reads files of secrets without repeating what is in them', async () => {
  const text = `log: { kafka: { brokers: ['k:9092'], sasl: { mechanism: plain, username: u, password: 'file:pw' }, tls: { ca: 'file:pw' } } }
dedupe: { redis: { url: 'file:pw' } }
sources:
  s: { topic: t, keys: ['file:pw'], jwt: { jwks: 'file:pw' }, verify: { scheme: standard, secrets: ['file:pw'] } }
subscriptions:
  f: { topics: [t], function: { http: { url: 'http://u:s3cr3t@h', sign: ['file:pw'], headers: { A: 'file:pw' } } } }`;
  const problems = await checkAll({ file: '/x/p.yaml', text, env: {}, readFile: () => 's3cr3t\u0001' });
  expect(problems.filter(({ level }) => level === 'error').length).toBeGreaterThan(4);
  expect(JSON.stringify(problems)).not.toContain('s3cr3t');
});
