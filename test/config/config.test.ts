import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/read.ts';

const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';
const SAMPLE = join(import.meta.dirname, '../..', 'postern.yaml');

interface Options {
  env?: Record<string, string>;
  files?: Record<string, string>;
}

function read(text: string, { env = {}, files = {} }: Options = {}) {
  const readFile = (path: string) => {
    if (files[path] === undefined) throw new Error(`no such file: ${path}`);
    return files[path];
  };
  return readConfig(text, env, { file: 'p.yaml', readFile });
}

/** The problems as `line pointer: message`, warnings with a `?` before. */
function problems(text: string, options: Options = {}): string[] {
  return read(text, options).problems.map(
    ({ level, line, pointer, message }) => `${level === 'warning' ? '?' : ''}${line} ${pointer}: ${message}`,
  );
}

function good(text: string, options: Options = {}) {
  const { config, problems: found } = read(text, options);
  expect(found.filter(({ level }) => level === 'error')).toEqual([]);
  return config!;
}

test('the least config gets all defaults', () => {
  const config = good(STORES);
  expect(config).toEqual({
    gateway: {
      listen: { host: '0.0.0.0', port: 8080 },
      limits: {
        body: 2 ** 20,
        decompressed: 2 ** 23,
        event: 2 ** 18,
        batch: 2500,
        buffered: 2 ** 26,
        requests: 4096,
        depth: 64,
        headers: 100,
        id: 256,
        key: 1024,
        bodyTime: 15_000,
        bodyRate: 512,
        values: 50_000,
        unauthenticated: 8 * 1024 * 1024,
        perSource: 48 * 1024 * 1024,
        perAddress: 32 * 1024 * 1024,
        headTime: 10_000,
        connections: 10_000,
        connectionsPerAddress: 1024,
      },
      cors: { origins: [], credentials: false },
      openapi: true,
      proxies: [],
      clientAddress: 'none',
      keepAlive: 75_000,
    },
    admin: {
      listen: { host: '127.0.0.1', port: 8081 },
      hosts: [],
      tokens: { read: [], operate: [] },
    },
    log: {
      spool: null,
      store: { embedded: { path: '.postern', retention: { age: 7 * 86_400_000, size: 2 ** 30 } } },
      timeout: 10_000,
    },
    dedupe: {
      store: { embedded: { path: '.postern' } },
      window: 86_400_000,
      lease: 30_000,
      outage: 'accept',
    },
    schemas: './schemas',
    sources: new Map(),
    subscriptions: new Map(),
    streams: new Map(),
    workflows: new Map(),
    grace: 30_000,
    logLevel: 'info',
  });
});

test('a full config is taken as it says', () => {
  const config = good(
    `
log:
  kafka:
    brokers: [a:9092, '[::1]:9093']
    tls: {}
    sasl: { mechanism: plain, username: u, password: '\${PASSWORD}' }
    compression: gzip
    client: platformatic
    create: { partitions: 6 }
dedupe:
  redis: { url: 'file:/run/redis' }
sources:
  web:
    keys: ['file:/run/key', '\${A:-plain}']
    topic: t
    id: [/a/b, /c~1d]
    type: /type
    schema: { constructor: c }
    batch: all-or-nothing
  raw: { topic: t, id: content, type: raw, schema: /schema }
subscriptions:
  fn:
    topics: [t]
    filter: event.type == "x"
    function: { http: { url: 'https://fn.example/x', mode: batch, headers: { Authorization: 'Bearer \${T}' } } }
    batch: { events: 10 }
  other: { group: g, topics: [t], from: latest, function: { http: { url: 'http://x' } }, deadLetter: gone }
`,
    {
      env: { PASSWORD: 'p: [x', T: 't' },
      files: { '/run/redis': 'rediss://u:p@r:6379/0\n', '/run/key': 'k1\r\n' },
    },
  );
  expect(config.log.store).toEqual({
    kafka: {
      brokers: ['a:9092', '[::1]:9093'],
      clientId: 'postern',
      tls: { verify: true },
      sasl: { mechanism: 'plain', username: 'u', password: 'p: [x' },
      compression: 'gzip',
      client: 'platformatic',
      create: { partitions: 6, replication: 0 },
    },
  });
  expect(config.dedupe.store).toEqual({
    redis: { url: 'rediss://u:p@r:6379/0', prefix: 'p:', timeout: 500 },
  });
  expect(config.sources.get('web')).toMatchObject({
    keys: [
      { id: 'key-1', key: 'k1' },
      { id: 'key-2', key: 'plain' },
    ],
    id: ['/a/b', '/c~1d'],
    batch: 'all-or-nothing',
  });
  expect(config.sources.get('raw')).toMatchObject({
    id: 'content',
    type: 'raw',
    schema: '/schema',
    key: null,
  });
  expect((config.sources.get('web')!.schema as Record<string, string>).toString).toBeUndefined();
  expect(config.subscriptions.get('fn')).toMatchObject({
    group: 'postern.fn',
    function: { http: { mode: 'batch', headers: { authorization: 'Bearer t' } } },
    batch: { events: 10, wait: 200, size: 2 ** 20 },
    retry: { attempts: 8, min: 500, max: 60_000 },
    deadLetter: 'fn.dead',
    redrive: 'fn.redrive',
  });
  expect(config.subscriptions.get('other')).toMatchObject({ group: 'g', from: 'latest', deadLetter: 'gone' });
});

test("create: {} takes the broker's defaults, false creates nothing", () => {
  const create = (text: string) => {
    const { store } = good(`log: { kafka: { brokers: [a:1], ${text} } }\ndedupe: { embedded: {} }`).log;
    return 'kafka' in store && store.kafka.create;
  };
  expect(create('')).toEqual({ partitions: 0, replication: 0 });
  expect(create('create: {}')).toEqual({ partitions: 0, replication: 0 });
  expect(create('create: false')).toBeNull();
});

test('variables: converted where a number or boolean is wanted, escaped, defaulted, never YAML', () => {
  const text = `${STORES}gateway: { limits: { batch: '\${N}', depth: '\${M:-7}' }, cors: { credentials: '\${C}' } }
sources:
  s: { topic: 'a\${T}', type: '$\${x}\${EMPTY:-d}', keys: ['\${K}'] }`;
  const config = good(text, { env: { N: '12', C: 'true', T: '-b', EMPTY: '', K: '1234' } });
  expect(config.gateway.limits).toMatchObject({ batch: 12, depth: 7 });
  expect(config.gateway.cors.credentials).toBe(true);
  expect(config.sources.get('s')).toMatchObject({
    topic: 'a-b',
    type: '${x}d',
    keys: [{ id: 'key-1', key: '1234' }],
  });
  expect(problems(text, { env: { N: 'many', C: 'yes', T: '', K: 'a' } })).toEqual([
    '3 /gateway/limits/batch: must be integer',
    '3 /gateway/cors/credentials: must be boolean',
  ]);
  expect(problems(`${STORES}schemas: '\${A}'\nlogLevel: '\${1}'\ngrace: '\${B'`)).toEqual([
    `3 /schemas: the environment variable A is not set, and \${A} has no default`,
    `4 /logLevel: has \${ without a variable name; write \${NAME} or \${NAME:-default}, or $\${ for a literal \${`,
    `5 /grace: has \${ without a variable name; write \${NAME} or \${NAME:-default}, or $\${ for a literal \${`,
  ]);
  expect(problems(`${STORES}schemas: '\${toString}'`)).toHaveLength(1);
});

test('every problem at once, with line and pointer', () => {
  const text = `# a comment
gateway:
  limits: { boddy: 1MiB, event: 1 MiB, batch: 0 }
  keepAlive: 30
log: { kafka: { brokers: [] }, timeout: 0s }
dedupe: { outage: maybe }
sources:
  Web: { topic: 'a b' }
  s:
    keys: ['', k]
    topics: t
    id: [x, /a~2]
    time:
  u: { topic: t, keys: [k], key: /~ }
subscriptions:
  f:
    topics: [t, 5]
    function: { http: { url: 'ftp://x' } }
`;
  expect(problems(text)).toEqual([
    '3 /gateway/limits/boddy: unknown key; did you mean body?',
    '3 /gateway/limits/event: must be a size: a whole number and B, kB, KiB, MB, MiB, GB or GiB, such as 256KiB; this is "1 MiB"',
    '3 /gateway/limits/batch: must be >= 1; this is 0',
    '4 /gateway/keepAlive: must be a duration: a whole number and ms, s, m, h or d, such as 500ms or 24h; this is 30',
    '5 /log/kafka/brokers: names no broker',
    '5 /log/timeout: must be between 1ms and 24d',
    '6 /dedupe/outage: must be one of accept, refuse; this is "maybe"',
    '6 /dedupe: needs one of redis and embedded',
    '8 /sources/…: a name has 1 to 63 of a-z, 0-9, ".", "_", "-", and begins with a letter or digit',
    '8 /sources/…/topic: a topic has 1 to 240 of a-z, A-Z, 0-9, ".", "_", "-", and is not "." or ".."',
    '9 /sources/s/topic: is missing',
    '10 /sources/s/keys/0: is empty; an empty secret protects nothing',
    '11 /sources/s/topics: unknown key; did you mean topic?',
    '12 /sources/s/id/0: must be a JSON Pointer, such as /deviceId; this is text',
    '12 /sources/s/id/1: is not a JSON Pointer: ~ must be followed by 0 or 1',
    '13 /sources/s/time: has no value',
    '14 /sources/u/key: is not a JSON Pointer: ~ must be followed by 0 or 1',
    '14 /sources/u/keys/0: is a key of s already',
    '17 /subscriptions/f/topics/1: must be string; this is a number',
    '18 /subscriptions/f/function/http/url: must be a URL that begins with http:// or https://',
  ]);
});

test('text that is not YAML, or says things twice', () => {
  expect(problems('')).toEqual(['1 : has no value']);
  expect(problems('[]')).toEqual(['1 : must be object; this is a list']);
  expect(problems('a: [1\nb: 2')[0]).toMatch(/^2 : /);
  expect(problems(`${STORES}log: { embedded: {} }`)).toEqual(['3 : Map keys must be unique']);
  expect(problems(`${STORES}---\na: 1`)[0]).toMatch(/^\d+ : Source contains multiple documents/);
  expect(problems(`${STORES}sources: &a { b: *a }`)[0]).toMatch(/nested/);
  expect(problems('['.repeat(100_000))[0]).toMatch(/: /);
  expect(problems(`${STORES}__proto__: 1\nconstructor: 2`)).toHaveLength(2);
});

test('Redis is one server, a cluster, or a primary that sentinels know', () => {
  const read = (redis: string) => `log: { embedded: {} }\ndedupe: { redis: ${redis} }`;
  const store = (redis: string) =>
    good(read(redis), { env: { P: 'p' }, files: { '/ca': 'PEM' } }).dedupe.store;
  const rest = { prefix: 'p:', timeout: 500 };
  expect(store("{ cluster: { nodes: ['a:1', '[::1]:2'] } }")).toEqual({
    redis: {
      cluster: {
        nodes: [
          { host: 'a', port: 1 },
          { host: '::1', port: 2 },
        ],
        username: null,
        password: null,
        tls: null,
      },
      ...rest,
    },
  });
  expect(
    store(
      "{ sentinel: { nodes: ['a:1'], name: m, username: u, password: '${P}', sentinelPassword: s, tls: { ca: 'file:/ca' } } }",
    ),
  ).toEqual({
    redis: {
      sentinel: {
        nodes: [{ host: 'a', port: 1 }],
        name: 'm',
        username: 'u',
        password: 'p',
        sentinelPassword: 's',
        tls: { ca: 'PEM', verify: true },
      },
      ...rest,
    },
  });
  const found = (redis: string) => problems(read(redis));
  expect(found('{}')).toEqual(['2 /dedupe/redis: needs one of url, cluster and sentinel']);
  expect(found("{ url: 'redis://x', cluster: { nodes: ['a:1'] } }")).toEqual([
    '2 /dedupe/redis: needs one of url, cluster and sentinel',
  ]);
  expect(found("{ prefix: 'a{}', cluster: { nodes: [], username: u, password: ' ' } }")).toEqual([
    '2 /dedupe/redis/prefix: must not have {} in a cluster; a name in braces puts all keys in one slot',
    '2 /dedupe/redis/cluster/nodes: names no node',
    '2 /dedupe/redis/cluster/password: is empty; an empty secret protects nothing',
  ]);
  expect(found("{ sentinel: { nodes: ['a'], username: u } }")).toEqual([
    '2 /dedupe/redis/sentinel/name: is missing',
    expect.stringMatching(/^2 \/dedupe\/redis\/sentinel\/nodes\/0: must be host:port/),
    '2 /dedupe/redis/sentinel/username: needs a password',
  ]);
});

test('what settings say together', () => {
  const source = 'sources: { s: { topic: t } }\n';
  const fn = 'function: { http: { url: "http://x" } }';
  expect(problems(`${STORES}gateway: { listen: '0.0.0.0:1' }\nadmin: { listen: '127.0.0.1:1' }`)).toEqual([
    "4 /admin/listen: port 1 is the gateway's; health and metrics need their own",
  ]);
  expect(problems(`${STORES}gateway: { limits: { body: 9MiB, event: 10MiB, buffered: 1MiB } }`)).toEqual([
    '3 /gateway/limits/event: is more than limits.decompressed (8MiB)',
    '3 /gateway/limits/decompressed: is more than limits.buffered (1MiB)',
  ]);
  expect(problems(`${STORES}gateway: { limits: { body: 9MiB } }`)).toEqual(
    ['3 /gateway/limits: is less than limits.body (9MiB)'].map((text) =>
      text.replace('limits: is', 'limits/decompressed: is'),
    ),
  );
  expect(
    problems(`${STORES}gateway: { cors: { origins: ['*', 'https://a.b/'], credentials: true } }`),
  ).toHaveLength(2);
  expect(
    problems('log: { embedded: {} }\ndedupe: { redis: { url: "redis://x", timeout: 40s }, window: 1s }'),
  ).toEqual([
    '2 /dedupe/lease: must be longer than dedupe.redis.timeout (40s)',
    '2 /dedupe/window: is less than dedupe.lease (30s)',
  ]);
  expect(
    problems(`${STORES}${source}subscriptions: { a: { topics: [t, x], deadLetter: t, ${fn} } }`),
  ).toEqual([
    '4 /subscriptions/a/deadLetter: t is among its own topics, so failed events would go round for ever',
    '?4 /subscriptions/a/topics/1: no source here writes to x',
  ]);
  for (const [invoke, size, most] of [
    ['sync', '7MiB', '6MiB'],
    ['async', '2MiB', '1MiB'],
  ]) {
    const lambda = `function: { lambda: { name: f, invoke: ${invoke} } }, batch: { size: ${size} }`;
    expect(problems(`${STORES}${source}subscriptions: { a: { topics: [t], ${lambda} } }`)).toEqual([
      `4 /subscriptions/a/batch/size: is more than Lambda's limit for ${invoke} calls (${most})`,
    ]);
  }
  expect(
    problems(`${STORES}${source}subscriptions: { a: { topics: [t], deadLetter: a.redrive, ${fn} } }`),
  ).toEqual(['4 /subscriptions/a/redrive: a.redrive is also its dead-letter topic']);
  expect(problems(`${STORES}${source}subscriptions: { a: { topics: [t], redrive: t, ${fn} } }`)).toEqual([
    '4 /subscriptions/a/redrive: t is among its own topics',
  ]);
  expect(
    problems(`${STORES}${source}subscriptions: { a: { topics: [t.rejected], batch: {}, ${fn} } }`),
  ).toEqual([
    '?4 /subscriptions/a/batch: has no effect: it needs function.http.mode batch, or function.lambda',
  ]);
  expect(
    problems(
      `${STORES}${source}subscriptions: { a: { topics: [t], group: g, ${fn} }, b: { topics: [t], group: g, ${fn} } }`,
    ),
  ).toEqual([
    '4 /subscriptions/b/group: group g is also the group of a; each would get only a part of the events',
  ]);
});

test('C58 batch mode warns that the function must understand the batch type', () => {
  const text = `${STORES}sources: { s: { topic: t } }
subscriptions: { a: { topics: [t], function: { http: { url: 'http://x', mode: batch } } } }`;
  expect(problems(text)).toEqual([expect.stringMatching(/^\?4 .*cloudevents-batch\+json/)]);
  expect(read(text).config).not.toBeNull();
});

test('C59 secrets are not shown in problems', () => {
  const text = `
log: { kafka: { brokers: [a:1], sasl: { mechanism: '\${S}', username: u, password: 5234 } } }
dedupe: { redis: { url: '\${S}' }, window: '\${S}' }
sources: { s: { topic: t, keys: [123456], schema: '/~\${S}' } }
subscriptions: { f: { topics: ['\${S}'], function: { http: { url: 'http://u:\${S}@x', headers: { A: 5234 } } } } }`;
  const found = problems(text, { env: { S: 'hush hush' } });
  expect(found.length).toBeGreaterThanOrEqual(9);
  expect(found.join('\n')).not.toMatch(/hush|5234|123456/);
});

test('C61 empty secrets are refused, wherever they come from', () => {
  const text = `
log: { kafka: { brokers: [a:1], sasl: { mechanism: plain, username: u, password: '\${P}' } } }
dedupe: { redis: { url: 'file:/none' } }
sources: { s: { topic: t, keys: [' ', '\${P}', 'file:/empty'] } }
subscriptions: { f: { topics: [t], function: { http: { url: 'http://x', headers: { authorization: '' } } } } }`;
  expect(problems(text, { env: { P: '' }, files: { '/empty': '\n' } })).toEqual([
    '2 /log/kafka/sasl/password: is empty; an empty secret protects nothing',
    '3 /dedupe/redis/url: cannot be read from its file: no such file: /none',
    '4 /sources/s/keys/0: is empty; an empty secret protects nothing',
    '4 /sources/s/keys/1: is empty; an empty secret protects nothing',
    '4 /sources/s/keys/2: is empty; an empty secret protects nothing',
    '5 /subscriptions/f/function/http/headers/authorization: is empty; an empty secret protects nothing',
  ]);
});

test('the sample config is good and has nothing to complain about', () => {
  const { config, problems: found } = read(readFileSync(SAMPLE, 'utf8'));
  expect(found).toEqual([]);
  expect([...config!.sources.keys()]).toEqual([
    'web',
    'sensors',
    'shop',
    'hooks',
    'github',
    'orders',
    'approvals',
  ]);
});

test('readConfig never throws, and says why when there is no config', { tags: ['slow'] }, () => {
  const sample = readFileSync(SAMPLE, 'utf8');
  const holds = (text: string) => {
    const { config, problems: found } = read(text);
    expect(config === null).toBe(found.some(({ level }) => level === 'error'));
  };
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.json()), holds), {
    numRuns: 60,
  });
  const cut = fc.tuple(fc.nat(sample.length), fc.nat(12), fc.string({ maxLength: 8 }));
  const changed = cut.map(
    ([from, length, text]) => sample.slice(0, from) + text + sample.slice(from + length),
  );
  fc.assert(fc.property(changed, holds), { numRuns: 60 });
  // Any value at any place of the shape.
  const value = fc.jsonValue({ maxDepth: 2 });
  const places = fc.constantFrom(
    (v: unknown) => ({ log: v, dedupe: v }),
    (v: unknown) => ({ log: { kafka: v }, dedupe: { redis: v, embedded: v } }),
    (v: unknown) => ({
      log: { kafka: { brokers: v, tls: v, sasl: v, create: v } },
      sources: v,
      subscriptions: v,
    }),
    (v: unknown) => ({ sources: { s: v }, subscriptions: { f: v } }),
    (v: unknown) => ({ sources: { s: { keys: v, id: v, schema: v, topic: v, batch: v } }, gateway: v }),
    (v: unknown) => ({
      subscriptions: { f: { topics: v, function: { http: v }, retry: v, batch: v } },
      grace: v,
    }),
  );
  fc.assert(
    fc.property(value, places, (v, place) => holds(JSON.stringify(place(v)))),
    { numRuns: 60 },
  );
});

test('without topics being created, a subscription reads no redrive topic that nobody named', () => {
  const text = (create: boolean, more = '') => `
log: { kafka: { brokers: ['k:9092'], create: ${create} } }
dedupe: { embedded: {} }
subscriptions: { a: { topics: [t], ${more} function: { http: { url: 'http://x' } } } }`;
  const redriveOf = (yaml: string) =>
    readConfig(yaml, {}, { file: '?' }).config!.subscriptions.get('a')!.redrive;
  expect(redriveOf(text(true))).toBe('a.redrive');
  expect(redriveOf(text(false))).toBeNull();
  expect(redriveOf(text(false, 'redrive: b,'))).toBe('b');
});
