import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/adapters/runtime/node-platform.ts';
import { readConfig } from '../../src/config/read.ts';
import { guardSources } from '../../src/gateway/admission/admit.ts';
import { describeApi } from '../../src/gateway/openapi/openapi.ts';
import { makeOpenApiPage } from '../../src/gateway/openapi/page.ts';
import { makeRoutes } from '../../src/gateway/routes.ts';
import { compileSchemas } from '../../src/schema/compile.ts';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

interface Operation {
  summary: string;
  parameters: { name: string; in: string; description?: string; schema: { enum?: string[] } }[];
  requestBody: {
    content: Record<
      string,
      { schema: object; example?: unknown; examples?: Record<string, { value: unknown }> }
    >;
  };
  responses: Record<string, { headers?: object; content?: Record<string, { schema: object }> }>;
  security: Record<string, string[]>[];
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}

const FOLDER = join(import.meta.dirname, '..', '..', 'schemas');
const SAMPLES = Object.fromEntries(
  readdirSync(FOLDER).map((name) => [
    name.replace('.json', ''),
    JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as object,
  ]),
);

const YAML = `
sources:
  open: { topic: topic-of-open, id: [/order/id], type: /kind }
  plain: { topic: topic-of-open }
  sensors:
    topic: topic-of-sensors
    id: [/deviceId, /seq]
    schema: sensor-reading
    keys: [key-of-the-sensors]
    batch: all-or-nothing
    origins: ['https://origin-of-sensors.example']
  web:
    topic: topic-of-web
    id: [/id]
    type: page.view
    schema: { page.view: page-view, purchase: purchase }
`;

let gateway: Harness;
let document: Document;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML, schemas: SAMPLES });
  document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Document;
});
afterAll(() => gateway.close());

/** The document of a config and schemas, without a server. */
function documentOf(yaml: string, schemas: Record<string, unknown> = {}): Document {
  const { config, problems } = readConfig(
    `${yaml}\nlog: { embedded: { path: x } }\ndedupe: { embedded: { path: x } }\n`,
    {},
    { file: 'test.yaml' },
  );
  expect(problems).toEqual([]);
  const platform = nodePlatform();
  const files = Object.entries(schemas).map(([name, schema]) => ({
    path: `${name}.json`,
    text: JSON.stringify(schema),
  }));
  const { set } = compileSchemas(files);
  const routes = makeRoutes(guardSources(config!, platform), platform);
  platform.stop();
  return describeApi(routes, config!, set, platform.codings) as unknown as Document;
}

/** Compiles a schema of the document as any reader of it would. */
function checkOf(from: Document, schema: object) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  return ajv.compile({ ...schema, components: from.components });
}

describe('the document', () => {
  it('has each path with the sources that it is for, said in a sentence', () => {
    expect(document.openapi).toBe('3.1.0');
    const { post } = document.paths['/events/{source}']!;
    expect(post!.parameters[0]!.schema.enum).toEqual(['open', 'plain', 'sensors', 'web']);
    expect(post!.parameters[0]!.description).toContain('id at /deviceId and /seq');
    for (const [path, item] of Object.entries(document.paths)) {
      expect(path).not.toMatch(/[:*]/);
      for (const operation of Object.values(item)) expect(operation.summary).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('has nothing in it that is not for senders', () => {
    const text = JSON.stringify(document);
    for (const secret of ['key-of-the-sensors', 'topic-of-', 'origin-of-sensors'])
      expect(text).not.toContain(secret);
  });

  it('says how the sources are opened, and no more than is true of them', () => {
    const securityOf = (yaml: string) => documentOf(`sources:\n${yaml}`).paths['/events/{source}']!.post!;
    expect(securityOf('  a: { topic: a }').security).toEqual([]);
    expect(Object.keys(securityOf('  a: { topic: a }').responses)).not.toContain('401');
    const keys = [{ bearer: [] }, { basic: [] }, { header: [] }, { query: [] }];
    const locked = securityOf('  a: { topic: a, keys: [k] }');
    expect(locked.security).toEqual(keys);
    expect(Object.keys(locked.responses)).toContain('401');
    expect(securityOf('  a: { topic: a, keys: [k] }\n  b: { topic: b }').security).toEqual([...keys, {}]);
    const signed = 'id: content, verify: { scheme: hmac, header: X-Signed, secrets: [shhh] }';
    expect(securityOf(`  a: { topic: a, ${signed} }`).security).toEqual([{ 'signature.x-signed': [] }]);
    expect(securityOf(`  a: { topic: a, keys: [k], ${signed} }`).security).toEqual(
      keys.map((way) => ({ ...way, 'signature.x-signed': [] })),
    );
    const token = `jwt: { jwks: '{"keys":[]}', audience: a }`;
    expect(securityOf(`  a: { topic: a, ${token} }`).security).toEqual([{ bearer: [] }]);
  });

  it('says 429 only where a source has a rate', () => {
    const statuses = (yaml: string) =>
      Object.keys(documentOf(`sources:\n${yaml}`).paths['/events/{source}']!.post!.responses);
    expect(statuses('  a: { topic: a }')).not.toContain('429');
    expect(statuses('  a: { topic: a, rate: { events: 5 } }')).toContain('429');
  });

  it('refers only to what it has', () => {
    const text = JSON.stringify(document);
    const names = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g)];
    expect(names.length).toBeGreaterThan(20);
    for (const [, kind, name] of names)
      expect(Object.keys((document.components as unknown as Record<string, object>)[kind!]!)).toContain(name);
    for (const { security } of Object.values(document.paths).flatMap((item) => Object.values(item))) {
      for (const name of security.flatMap((way) => Object.keys(way)))
        expect(Object.keys(document.components.securitySchemes)).toContain(name);
    }
  });
});

describe('schemas of senders', () => {
  const schemas = {
    'old/reading': {
      $schema: 'http://json-schema.org/draft-04/schema#',
      id: 'https://old.example/reading',
      title: 'Old reading',
      type: 'object',
      properties: {
        value: { type: 'number', minimum: 0, exclusiveMinimum: true },
        pair: { items: [{ type: 'string' }, { type: 'integer' }], additionalItems: false },
        tree: { $ref: '#/definitions/node' },
      },
      dependencies: { value: ['pair'] },
      definitions: {
        node: {
          type: 'object',
          properties: { kids: { type: 'array', items: { $ref: '#/definitions/node' } } },
        },
      },
    },
    Problem: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      $comment: 'not for senders',
      properties: { $ref: { type: 'string' }, reading: { $ref: 'old/reading.json' }, enum: { const: 1 } },
      examples: [{ $ref: 'text' }],
    },
    unused: { title: 'not named' },
  };
  const yaml = 'sources:\n  a: { topic: a, schema: Problem }\n  b: { topic: b, schema: old/reading }\n';

  it('are given in draft 2020-12, whatever they were written in, and judge the same', () => {
    const from = documentOf(yaml, schemas);
    const { set } = compileSchemas(
      Object.entries(schemas).map(([name, one]) => ({ path: `${name}.json`, text: JSON.stringify(one) })),
    );
    const values = [
      {},
      { value: 1, pair: ['a', 1] },
      { value: 0, pair: ['a', 1] },
      { value: 1 },
      { pair: ['a', 1, 2] },
      { tree: { kids: [{ kids: [] }] } },
      { tree: { kids: [{ kids: [1] }] } },
      { $ref: 5 },
      { reading: { value: 0 } },
      { enum: 2 },
    ];
    for (const name of ['old/reading', 'Problem'] as const) {
      const check = checkOf(from, { $ref: `#/components/schemas/event.${name.replace('/', '.')}` });
      const budget = { take: () => false, spend: () => {} };
      for (const value of values) {
        const ours = set.find(name)!.check(value, 100, budget as never) === null;
        expect([name, value, check(value)]).toEqual([name, value, ours]);
      }
    }
    expect(from.components.schemas['event.old.reading']).toMatchObject({ title: 'Old reading' });
    expect(from.components.schemas['event.old.reading.node']).toBeDefined();
    expect(from.components.schemas.Problem).toMatchObject({ description: expect.stringContaining('9457') });
    expect(JSON.stringify(from)).not.toMatch(/not named|not for senders|draft-0|x-postern/);
  });

  it('are left out when they are too large for a public page', () => {
    const large = { enum: Array.from({ length: 100_000 }, (_, i) => `value-${i}`) };
    const from = documentOf('sources:\n  a: { topic: a, schema: large }\n', { large });
    expect(JSON.stringify(from).length).toBeLessThan(100_000);
  });
});

describe('examples', () => {
  it('are taken by the gateway, each in every media type', async () => {
    const { content } = document.paths['/events/{source}']!.post!.requestBody;
    const sources = new Set<string>();
    for (const [type, { examples }] of Object.entries(content)) {
      for (const [source, { value }] of Object.entries(examples ?? {})) {
        sources.add(source);
        const reply = await fetch(`${gateway.url}/events/${source}`, {
          method: 'POST',
          headers: {
            'content-type': type,
            'x-api-key': 'key-of-the-sensors',
            ...(source === 'plain' ? { 'idempotency-key': `${type}-1` } : {}),
          },
          body: typeof value === 'string' ? value : JSON.stringify(value),
        });
        expect([type, source, reply.status, await reply.text()]).toEqual([
          type,
          source,
          202,
          expect.any(String),
        ]);
      }
    }
    expect([...sources].sort()).toEqual(['open', 'plain', 'sensors', 'web']);
  });
});

describe('examples of Segment calls and webhooks', () => {
  it('are taken by the gateway and match their own schemas', async () => {
    const other = await startGateway({
      yaml: `
sources:
  web: { protocol: segment, topic: web, keys: [key-of-web] }
  hook: { protocol: webhook, topic: hook, keys: [key-of-hook], schema: purchase }
`,
      schemas: SAMPLES,
    });
    const from = (await (await fetch(`${other.url}/openapi.json`)).json()) as Document;
    const taken: string[] = [];
    for (const [path, { post }] of Object.entries(from.paths)) {
      for (const [type, { schema, example, examples }] of Object.entries(post?.requestBody.content ?? {})) {
        const value = example ?? Object.values(examples ?? {})[0]?.value;
        if (value === undefined) continue;
        const check = checkOf(from, schema);
        check(value);
        expect([path, type, check.errors]).toEqual([path, type, null]);
        const reply = await fetch(other.url + path.replace('{source}', 'hook'), {
          method: 'POST',
          headers: { 'content-type': type, 'x-api-key': path.includes('{') ? 'key-of-hook' : 'key-of-web' },
          body: typeof value === 'string' ? value : JSON.stringify(value),
        });
        const verdict = path.includes('{') ? 202 : 200;
        expect([path, type, reply.status]).toEqual([path, type, verdict]);
        if (type === 'application/json') taken.push(path);
      }
    }
    expect(taken).toEqual(expect.arrayContaining(['/v1/track', '/v1/batch', '/webhooks/{source}']));
    const rejected = await other.read('web.rejected');
    expect(rejected).toEqual([]);
    await other.close();
  });
});

describe('replies', () => {
  const post = (source: string, body: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/events/${source}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });

  it('are as the document says', async () => {
    const { responses } = document.paths['/events/{source}']!.post!;
    const lines = { 'content-type': 'application/x-ndjson' };
    const replies = [
      await post('open', '{"order":{"id":1},"kind":"k"}'),
      await post('open', '{"order":{"id":2},"kind":"k"}', { prefer: 'return=minimal' }),
      await post('open', '[{"order":{"id":1},"kind":"k"},{"order":{"id":3},"kind":"k"},{}]'),
      await post('open', '{"order":{"id":1},"kind":"other"}'),
      await post('open', '{"order":{"id":1},"kind":"k","more":1}'),
      await post('open', '[{"order":{"id":1},"kind":"k","more":1},{"order":{"id":4},"kind":"k"}]'),
      await post('open', '{'),
      await post('open', '{}\n{', lines),
      await post('open', '{', lines),
      await post('open', '{}', { 'content-type': 'image/png' }),
      await post('open', '{}', { 'content-encoding': 'nothing' }),
      await post('sensors', '{}'),
      await post('sensors', '[{},{"deviceId":"a","seq":1}]', { 'x-api-key': 'key-of-the-sensors' }),
      await post('nowhere', '{}'),
      await post('web', '{"id":"a1b2c3d4"}'),
      await post('open', `{"t":"${'x'.repeat(300_000)}"}`),
      await post('open', `[${'{},'.repeat(3000)}{}]`),
      await fetch(`${gateway.url}/events/open`, { method: 'PUT', body: '{}' }),
      await fetch(`${gateway.url}/events/open%2f..%2fweb`, { method: 'POST', body: '{}' }),
      await fetch(`${gateway.url}/events/open`, {
        method: 'POST',
        headers: Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'v'])),
      }),
    ];
    const seen = new Set<number>();
    for (const reply of replies) {
      const said = responses[reply.status];
      const text = await reply.text();
      expect([reply.status, text, said !== undefined]).toEqual([reply.status, text, true]);
      seen.add(reply.status);
      const [type, media] = Object.entries(said!.content ?? {})[0] ?? [null, null];
      expect(reply.headers.get('content-type')).toBe(type);
      if (media === null) continue;
      const check = checkOf(document, media.schema);
      check(JSON.parse(text));
      expect([text, check.errors]).toEqual([text, null]);
    }
    expect([...seen].sort()).toEqual([202, 204, 207, 400, 401, 404, 405, 409, 413, 415, 422, 431]);
  });
});

describe('odd requests', () => {
  const body = '{"order":{"id":"odd"},"kind":"k"}';
  const head = 'host: x\r\ncontent-type: application/json';
  const send = (line: string, headers = head, text = body) =>
    rawExchange(
      gateway.port,
      [`${line} HTTP/1.1\r\n${headers}\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n`, text],
      wholeReply,
    );
  const cases: [string, number, string, string?][] = [
    ...['TRACE', 'PUT', 'DELETE', 'PATCH', 'GET', 'PROPFIND', 'QUERY', 'M-SEARCH'].map(
      (method): [string, number, string] => [method, 405, `${method} /events/open`],
    ),
    ['no such method', 400, 'FROBNICATE /events/open'],
    ['lower case', 400, 'post /events/open'],
    ['bare percent', 404, 'POST /events/%'],
    ['half an escape', 404, 'POST /events/%a'],
    ['no UTF-8', 404, 'POST /events/%ff%fe'],
    ['NUL', 404, 'POST /events/open%00'],
    ['encoded slash', 404, 'POST /events/open%2fx'],
    ['encoded traversal', 404, 'POST /events/..%2f..%2fetc%2fpasswd'],
    ['traversal', 404, 'POST /events/../../etc/passwd'],
    ['traversal to a source', 404, 'POST /events/x/../open'],
    ['encoded letter', 202, 'POST /events/%6fpen'],
    ['slash at the end', 404, 'POST /events/open/'],
    ['two slashes', 404, 'POST //events/open'],
    ['no source', 404, 'POST /events/'],
    ['inherited name', 404, 'POST /events/__proto__'],
    ['upper case', 404, 'POST /events/OPEN'],
    ['absolute form', 202, 'POST http://other.example/events/open'],
    ['only a star', 400, 'POST *'],
    ['long query', 202, `POST /events/open?${'q=%F0%9F%92%A9&'.repeat(1000)}`],
    ['endless query', 431, `POST /events/open?${'q'.repeat(40_000)}`],
    ['broken query', 202, 'POST /events/open?%&=&&key=%ff&access_token'],
    ['empty media type', 202, 'POST /events/open', 'host: x\r\ncontent-type: ;;;=,"'],
    ['unknown charset', 415, 'POST /events/open', 'host: x\r\ncontent-type: text/plain; charset=utf-7'],
    ['attribute without name', 400, 'POST /events/open', `${head}\r\nce-: x\r\nce-id: 1`],
    ['bytes in a header', 202, 'POST /events/open', `${head}\r\nx-odd: \u00ff\u0080;"\\`],
    ['control byte in a header', 400, 'POST /events/open', `${head}\r\nx-odd: a\u0000b`],
    ['header without colon', 400, 'POST /events/open', `${head}\r\nx-odd`],
    ['empty key', 400, 'POST /events/open', `${head}\r\nidempotency-key: ""`],
    ['many headers', 431, 'POST /events/open', `${head}\r\n${'x-many: v\r\n'.repeat(300)}x-last: v`],
  ];

  it.each(cases)('%s: %d, as the document says', async (_name, status, line, headers) => {
    const text = await send(line, headers);
    expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    const said = document.paths['/events/{source}']!.post!.responses[status]!;
    const [type, media] = Object.entries(said.content!)[0]!;
    expect(text).toMatch(new RegExp(`^content-type: ${type.replace('+', '\\+')}\r$`, 'im'));
    const check = checkOf(document, media.schema);
    check(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)));
    expect(check.errors).toBeNull();
  });
});

describe('GET /openapi.json', () => {
  it('can be asked whether it has changed', async () => {
    const first = await fetch(`${gateway.url}/openapi.json`);
    expect([first.status, first.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(first.headers.get('access-control-allow-origin')).toBe('*');
    const etag = first.headers.get('etag')!;
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetch(`${gateway.url}/openapi.json`, { headers: { 'if-none-match': known } });
      expect([known, again.status, await again.text()]).toEqual([known, 304, '']);
    }
    const other = await fetch(`${gateway.url}/openapi.json`, { headers: { 'if-none-match': '"other"' } });
    expect([other.status, await other.text()]).toEqual([200, await first.text()]);
    const head = await fetch(`${gateway.url}/openapi.json`, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([200, etag, '']);
    const posted = await fetch(`${gateway.url}/openapi.json`, { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('follows the schemas, and is made once for each state of them', () => {
    const { config } = readConfig(
      'sources:\n  a: { topic: a, schema: s }\nlog: { embedded: { path: x } }\ndedupe: { embedded: { path: x } }\n',
      {},
      { file: 'test.yaml' },
    );
    const platform = nodePlatform();
    const sets = ['one', 'two'].map(
      (title) => compileSchemas([{ path: 's.json', text: JSON.stringify({ title, type: 'object' }) }]).set,
    );
    let asked = 0;
    const counted = sets.map((set) => ({
      ...set,
      plain: (names: readonly string[]) => {
        asked++;
        return set.plain(names);
      },
    }));
    let now = counted[0]!;
    const page = makeOpenApiPage(
      makeRoutes(guardSources(config!, platform), platform),
      config!,
      () => now,
      platform,
    );
    platform.stop();
    const first = page(undefined);
    expect([page(undefined).body, asked]).toEqual([first.body, 1]);
    now = counted[1]!;
    const second = page(first.headers.etag);
    expect([second.status, asked]).toEqual([200, 2]);
    expect([String(first.body), String(second.body)]).toEqual([
      expect.stringContaining('"title":"one"'),
      expect.stringContaining('"title":"two"'),
    ]);
  });
});
