import { generateKeyPairSync, sign } from 'node:crypto';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { encode } from 'cborg';
import { githubHeaders, hmac, type Sent, seconds, slackHeaders } from '../gateway/signing.ts';

/** A request; `tag` is in all ids of a run, so that runs do not meet. */
interface Sending {
  method?: string;
  path: string;
  headers?: Sent;
  body?: string | Uint8Array<ArrayBuffer>;
}

interface Exchange {
  name: string;
  send(tag: string): Sending;
  status: number;
  /** Part of the reply's body. */
  body?: object;
  /** Why the runtimes may word it each in its own way. */
  ownWords?: string;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const reading = (tag: string, n: number, more: object = {}) => ({ id: `${tag}-${n}`, dev: 'd1', ...more });

function json(path: string, value: unknown, headers: Sent = {}): Sending {
  const body = typeof value === 'string' ? value : JSON.stringify(value);
  return { path, headers: { ...JSON_TYPE, ...headers }, body };
}

function packed(coding: string, bytes: Uint8Array<ArrayBuffer>): Sending {
  return { path: '/events/s', headers: { ...JSON_TYPE, 'content-encoding': coding }, body: bytes };
}

export const issuer = generateKeyPairSync('ed25519');
export const stranger = generateKeyPairSync('ed25519');

/** A token that is good for a minute (RFC 7519). */
export function tokenOf({ privateKey }: typeof issuer): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA', kid: 'k' })}.${part({ sub: 'somebody', exp: seconds(60) })}`;
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const cut = (buffer: Uint8Array, from: number, to: number) => new Uint8Array(buffer.subarray(from, to));

const FORMATS: Exchange[] = [
  {
    name: 'JSON, byte for byte',
    send: (tag) => json('/events/s', ` { "id":"${tag}-1", "n":9007199254740993, "n":1.0, "é":"\\u00e9" } `),
    status: 202,
    body: { accepted: 1 },
  },
  {
    name: 'the same again',
    send: (tag) => json('/events/s', ` { "id":"${tag}-1", "n":9007199254740993, "n":1.0, "é":"\\u00e9" } `),
    status: 202,
    body: { duplicates: 1 },
  },
  {
    name: 'another event under its id',
    send: (tag) => json('/events/s', { id: `${tag}-1` }),
    status: 409,
    body: { events: [{ verdict: 'duplicate', changed: true, errors: [{ code: 'id_reused' }] }] },
  },
  {
    name: 'an array',
    send: (tag) => json('/events/s', [reading(tag, 2), reading(tag, 3)]),
    status: 202,
    body: { accepted: 2 },
  },
  {
    name: 'NDJSON with a bad line',
    send: (tag) => ({
      path: '/events/s',
      headers: { 'content-type': 'application/x-ndjson' },
      body: `{"id":"${tag}-4"}\n{"id":\n{"id":"${tag}-5"}\n`,
    }),
    status: 207,
    body: { accepted: 2, rejected: 1 },
  },
  {
    name: 'JSON inside of text/plain',
    send: (tag) => ({
      path: '/events/s',
      headers: { 'content-type': 'text/plain' },
      body: `{"id":"${tag}-6"}`,
    }),
    status: 202,
  },
  {
    name: 'a binary CloudEvent',
    send: (tag) => ({
      path: '/events/s',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': `${tag}-7`,
        'ce-type': 't',
        'ce-source': '/x',
        'ce-subject': '%C3%A9',
        'content-type': 'application/octet-stream',
      },
      body: new Uint8Array([0, 255, 1]),
    }),
    status: 202,
  },
  {
    name: 'a structured CloudEvent',
    send: (tag) =>
      json(
        '/events/s',
        { specversion: '1.0', id: `${tag}-8`, type: 't', source: '/x', data: { a: 1 } },
        { 'content-type': 'application/cloudevents+json' },
      ),
    status: 202,
  },
  {
    name: 'a batch of CloudEvents',
    send: (tag) =>
      json(
        '/events/s',
        [9, 10].map((n) => ({ specversion: '1.0', id: `${tag}-${n}`, type: 't', source: '/x', data: n })),
        { 'content-type': 'application/cloudevents-batch+json' },
      ),
    status: 202,
    body: { accepted: 2 },
  },
  {
    name: 'SenML',
    send: (tag) =>
      json(
        '/events/senml',
        [
          { bn: `urn:dev:${tag}:`, bt: 1_700_000_000, n: 't', v: 20.5 },
          { n: 'h', v: 40 },
        ],
        {
          'content-type': 'application/senml+json',
        },
      ),
    status: 202,
    body: { accepted: 2 },
  },
  {
    name: 'CBOR',
    send: (tag) => ({
      path: '/events/s',
      headers: { 'content-type': 'application/cbor' },
      body: new Uint8Array(encode(reading(tag, 11, { n: 1.5 }))),
    }),
    status: 202,
  },
  {
    name: 'gzip',
    send: (tag) => packed('gzip', new Uint8Array(gzipSync(`{"id":"${tag}-12"}`))),
    status: 202,
  },
  {
    name: 'deflate',
    send: (tag) => packed('deflate', new Uint8Array(deflateSync(`{"id":"${tag}-13"}`))),
    status: 202,
  },
  {
    name: 'raw deflate',
    send: (tag) => packed('deflate', new Uint8Array(deflateRawSync(`{"id":"${tag}-14"}`))),
    status: 202,
  },
  {
    name: 'half of a gzip stream',
    send: (tag) => packed('gzip', cut(gzipSync(`{"id":"${tag}-15","filler":"${'x'.repeat(500)}"}`), 0, 25)),
    status: 400,
  },
  {
    name: 'gzip with bytes after it',
    send: (tag) => packed('gzip', new Uint8Array([...gzipSync(`{"id":"${tag}-16"}`), 1, 2, 3])),
    status: 400,
  },
  {
    name: 'a gzip bomb',
    send: () => packed('gzip', new Uint8Array(gzipSync('['.padEnd(300_000)))),
    status: 413,
  },
  {
    name: 'an unknown coding',
    send: () => packed('lzma', bytes('x')),
    status: 415,
    ownWords: 'it names the codings that the runtime can undo',
  },
  {
    name: 'a client that wants no body',
    send: (tag) => json('/events/s', reading(tag, 17), { prefer: 'return=minimal' }),
    status: 204,
  },
  {
    name: 'an id and a trace in headers',
    send: (tag) =>
      json(
        '/events/plain',
        { a: 1 },
        {
          'idempotency-key': `"${tag}-k"`,
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        },
      ),
    status: 202,
  },
  {
    name: 'an id that is the content',
    send: (tag) => json('/events/content', { tag, filler: 'y'.repeat(200) }),
    status: 202,
  },
  {
    name: 'that content again',
    send: (tag) => json('/events/content', { tag, filler: 'y'.repeat(200) }),
    status: 202,
    body: { duplicates: 1 },
  },
];

const REFUSALS: Exchange[] = [
  {
    name: 'an event that fails its schema, with every fault',
    send: () => json('/events/typed', { id: 'bad', n: 'x', list: [1, 1], email: 'nobody' }),
    status: 422,
    body: { rejected: 1 },
  },
  {
    name: 'a batch of which some fails',
    send: (tag) => json('/events/typed', [{ id: `${tag}-1`, n: 1 }, { id: `${tag}-2`, n: -1 }, { n: 1 }]),
    status: 207,
    body: { accepted: 1, rejected: 2 },
  },
  {
    name: 'all or nothing',
    send: (tag) =>
      json('/events/whole', [
        { id: `${tag}-1`, n: 1 },
        { id: `${tag}-2`, n: -1 },
      ]),
    status: 422,
    body: { rejected: 2 },
  },
  { name: 'an event without an id', send: () => json('/events/s', { dev: 'd' }), status: 422 },
  { name: 'an event that is no object', send: () => json('/events/s', '[1]'), status: 422 },
  { name: 'half a body', send: () => json('/events/s', '{"id":'), status: 400 },
  {
    name: 'bytes that are no UTF-8',
    send: () => ({ ...json('/events/s', ''), body: new Uint8Array([34, 255, 34]) }),
    status: 400,
  },
  { name: 'an empty body', send: () => json('/events/s', ''), status: 400 },
  {
    name: 'too deep',
    send: () => json('/events/s', `{"id":"d","a":${'['.repeat(20)}${']'.repeat(20)}}`),
    status: 422,
  },
  { name: 'too large a body', send: () => json('/events/s', `{"id":"${'x'.repeat(120_000)}"}`), status: 413 },
  {
    name: 'too large an event',
    send: () => json('/events/s', `{"id":"l","x":"${'x'.repeat(30_000)}"}`),
    status: 413,
  },
  { name: 'too many events', send: () => json('/events/s', `[${'{},'.repeat(30)}{}]`), status: 413 },
  {
    name: 'too many header fields',
    send: () =>
      json('/events/s', {}, Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`x-${i}`, '1']))),
    status: 431,
    ownWords: "Node's parser counts, too",
  },
  {
    name: 'a type that is none',
    send: () => json('/events/s', '{}', { 'content-type': 'image/png' }),
    status: 415,
  },
  { name: 'an unknown source', send: () => json('/events/nowhere', {}), status: 404 },
  { name: 'an unknown path', send: () => ({ path: '/nowhere' }), status: 404 },
  {
    name: 'a method that is none',
    send: () => ({ method: 'PUT', path: '/events/s', body: '{}' }),
    status: 405,
  },
];

const KEYS: Exchange[] = [
  { name: 'no key', send: (tag) => json('/events/locked', reading(tag, 1)), status: 401 },
  {
    name: 'a wrong key',
    send: (tag) => json('/events/locked', reading(tag, 1), { authorization: 'Bearer wrong' }),
    status: 401,
  },
  ...(
    [
      ['a Bearer key', { authorization: 'Bearer right-key' }, ''],
      ['x-api-key', { 'x-api-key': 'right-key' }, ''],
      ['a Basic user', { authorization: `Basic ${btoa('right-key:')}` }, ''],
      ['a key in the query', {}, '?key=right-key'],
    ] as [string, Sent, string][]
  ).map(([name, headers, query], n) => ({
    name,
    send: (tag: string) => json(`/events/locked${query}`, reading(tag, n), headers),
    status: 202,
  })),
  {
    name: 'a token',
    send: (tag) => json('/events/tokens', reading(tag, 1), { authorization: `Bearer ${tokenOf(issuer)}` }),
    status: 202,
  },
  {
    name: "a token of a stranger's",
    send: (tag) => json('/events/tokens', reading(tag, 2), { authorization: `Bearer ${tokenOf(stranger)}` }),
    status: 401,
  },
  {
    name: 'a page that may not send',
    send: (tag) => json('/events/shop', reading(tag, 1), { origin: 'https://other.example' }),
    status: 403,
  },
  {
    name: 'a page that may send',
    send: (tag) => json('/events/shop', reading(tag, 1), { origin: 'https://shop.example' }),
    status: 202,
  },
  {
    name: 'a preflight',
    send: () => ({
      method: 'OPTIONS',
      path: '/events/shop',
      headers: {
        origin: 'https://shop.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type, x-mine',
      },
    }),
    status: 204,
  },
  {
    name: 'a handshake',
    send: () => ({
      method: 'OPTIONS',
      path: '/events/s',
      headers: { 'webhook-request-origin': 'grid.example' },
    }),
    status: 200,
  },
  {
    name: 'the description',
    send: () => ({ path: '/openapi.json' }),
    status: 200,
    ownWords: 'it names the codings that the runtime can undo',
  },
];

const PROTOCOLS: Exchange[] = [
  { name: 'a pixel', send: (tag) => ({ path: `/pixels/s?id=${tag}-p&page=%2Fa+b` }), status: 200 },
  { name: 'a pixel that is refused', send: () => ({ path: '/pixels/typed?id=x' }), status: 422 },
  {
    name: 'a Segment call',
    send: (tag) =>
      json('/v1/track', { writeKey: 'seg-key', messageId: `${tag}-m1`, event: 'E', userId: 'u' }),
    status: 200,
    body: { success: true },
  },
  {
    name: 'a Segment batch, some of it refused',
    send: (tag) =>
      json(
        '/v1/batch',
        {
          context: { app: 'a' },
          batch: [{ type: 'track', messageId: `${tag}-m2`, event: 'E', userId: 'u' }, { type: 'nothing' }],
        },
        { authorization: `Basic ${btoa('seg-key:')}` },
      ),
    status: 200,
    body: { success: true },
  },
  { name: "a Segment call of nobody's", send: () => json('/v1/track', { writeKey: 'no' }), status: 401 },
  { name: "a Segment SDK's settings", send: () => ({ path: '/v1/projects/seg-key/settings' }), status: 200 },
  {
    name: 'a Segment pixel',
    send: (tag) => ({ path: `/pixel/v1/page?writeKey=seg-key&messageId=${tag}-m3&userId=u&name=N` }),
    status: 200,
  },
  {
    name: "GitHub's webhook",
    send: (tag) => {
      const body = JSON.stringify({ zen: tag });
      return {
        path: '/webhooks/github',
        headers: { ...JSON_TYPE, ...githubHeaders('gh-secret', body, 'ping', `${tag}-g`) },
        body,
      };
    },
    status: 202,
  },
  {
    name: 'a webhook that another body was signed for',
    send: (tag) => ({
      path: '/webhooks/github',
      headers: { ...JSON_TYPE, ...githubHeaders('gh-secret', '{}', 'ping', `${tag}-x`) },
      body: '{"a":1}',
    }),
    status: 401,
  },
  {
    name: "Slack's webhook, as a form",
    send: (tag) => {
      const body = `command=%2Fgo&text=${tag}`;
      return {
        path: '/webhooks/slack',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          ...slackHeaders('slack-secret', body),
        },
        body,
      };
    },
    status: 200,
  },
  {
    name: "Slack's challenge",
    send: () => {
      const body = JSON.stringify({ type: 'url_verification', challenge: 'c' });
      return {
        path: '/webhooks/slack',
        headers: { ...JSON_TYPE, ...slackHeaders('slack-secret', body) },
        body,
      };
    },
    status: 200,
    body: { challenge: 'c' },
  },
  {
    name: "X's proof",
    send: () => ({ path: '/webhooks/x?crc_token=abc' }),
    status: 200,
    body: { response_token: `sha256=${hmac('x-secret', 'abc', 'base64')}` },
  },
  {
    name: 'a Standard Webhook, with a bound secret',
    send: (tag) => {
      const body = JSON.stringify({ tag });
      const time = seconds();
      const signature = hmac(Buffer.from('c2VjcmV0', 'base64'), `${tag}-w.${time}.${body}`, 'base64');
      const headers = {
        'webhook-id': `${tag}-w`,
        'webhook-timestamp': String(time),
        'webhook-signature': `v1,${signature}`,
      };
      return { path: '/webhooks/standard', headers: { ...JSON_TYPE, ...headers }, body };
    },
    status: 202,
  },
  {
    name: 'an event that a device signed',
    send: (tag) => {
      const body = JSON.stringify({ id: `${tag}-dev` });
      const time = Math.floor(Date.now() / 1000);
      const signature = hmac(hmac('master', 'd-1'), `${time}.${body}`);
      return {
        path: '/events/devices',
        headers: {
          ...JSON_TYPE,
          'x-device-id': 'd-1',
          'x-timestamp': String(time),
          'x-signature': signature,
        },
        body,
      };
    },
    status: 202,
  },
];

export const EXCHANGES = [...FORMATS, ...REFUSALS, ...KEYS, ...PROTOCOLS];

export const JWKS = JSON.stringify({ keys: [{ ...issuer.publicKey.export({ format: 'jwk' }), kid: 'k' }] });

/** Sources for them; topics begin with `prefix`. */
export const sourcesFor = (prefix: string) => `
sources:
  s: { protocol: events, topic: ${prefix}.s, id: [/id], key: /dev }
  plain: { protocol: events, topic: ${prefix}.plain }
  senml: { protocol: events, topic: ${prefix}.plain }
  content: { protocol: events, topic: ${prefix}.content, id: content }
  typed: { protocol: events, topic: ${prefix}.typed, id: [/id], schema: typed }
  whole: { protocol: events, topic: ${prefix}.typed, id: [/id], schema: typed, batch: all-or-nothing }
  locked: { protocol: events, topic: ${prefix}.locked, id: [/id], keys: ['\${RUNTIME_KEY:-right-key}'] }
  shop: { protocol: events, topic: ${prefix}.locked, id: [/id], origins: ['https://shop.example'] }
  devices: { protocol: events, topic: ${prefix}.locked, id: [/id], verify: { scheme: device, secrets: [master] } }
  tokens: { protocol: events, topic: ${prefix}.locked, id: [/id], jwt: { jwks: '${JWKS}', algorithms: [EdDSA] } }
  segment: { protocol: segment, topic: ${prefix}.segment, keys: [seg-key] }
  github: { protocol: webhook, topic: ${prefix}.hooks, verify: { scheme: github, secrets: [gh-secret] } }
  slack: { protocol: webhook, topic: ${prefix}.hooks, verify: { scheme: slack, secrets: [slack-secret] } }
  x: { protocol: webhook, topic: ${prefix}.hooks, verify: { scheme: twitter, secrets: [x-secret] } }
  standard: { protocol: webhook, topic: ${prefix}.hooks, verify: { scheme: standard, secrets: ['\${RUNTIME_HOOK:-whsec_c2VjcmV0}'] } }
gateway:
  cors: { origins: ['https://app.example'] }
  limits: { body: 100kB, decompressed: 200kB, event: 20kB, batch: 25, depth: 12, headers: 64 }
`;

export const TOPICS = ['s', 'plain', 'content', 'typed', 'locked', 'segment', 'hooks'];

export const SCHEMAS = {
  typed: {
    type: 'object',
    required: ['n'],
    properties: {
      n: { type: 'integer', minimum: 0 },
      list: { uniqueItems: true },
      email: { format: 'email' },
      slug: { pattern: '^(a+)+$' },
    },
  },
};
