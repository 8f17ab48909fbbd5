import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkAll } from '../../src/cli/check.ts';
import { readConfig } from '../../src/config/read.ts';

const ROOT = join(import.meta.dirname, '../..');
const LONG = 'a-secret-of-more-than-16-bytes';
const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';
const SOURCES = `sources: { s: { topic: t, keys: [${LONG}] } }\n`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-production-'));
  mkdirSync(join(folder, 'schemas'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What check says, level and pointer first. */
async function check(text: string, production = false, base = folder): Promise<string[]> {
  const problems = await checkAll({ file: join(base, 'postern.yaml'), text, env: {}, production });
  return problems.map(({ level, pointer, message }) => `${level} ${pointer} ${message}`);
}

const kafka = (rest: string) =>
  `log: { kafka: { brokers: ['k:9092'], ${rest} } }\ndedupe: { embedded: {} }\n${SOURCES}`;
const redis = (rest: string) => `log: { embedded: {} }\ndedupe: { redis: { ${rest} } }\n${SOURCES}`;
const source = (rest: string) => `${STORES}sources: { s: { topic: t, ${rest} } }`;
const calls = (http: string) =>
  `${STORES}${SOURCES}subscriptions: { f: { topics: [t], function: { http: { ${http} } } } }`;
const steps = (step: string) =>
  `${STORES}${SOURCES}workflows: { w: { on: { topics: [t] }, steps: [${step}] } }`;

/** Each weak setting, and how its line begins. */
const WEAK: [string, string, RegExp][] = [
  ['a short key', source('keys: [abc]'), /\/sources\/s\/keys\/0 has 3 bytes and can be guessed/],
  ['a short key with an id', source('keys: [{ id: a, key: fifteen-bytes-- }]'), /\/keys\/0 has 15 bytes/],
  [
    'a short device secret',
    source('id: [/id], verify: { scheme: device, secrets: [x] }'),
    /\/secrets\/0 has 1 byte/,
  ],
  [
    'a short hmac secret',
    source('protocol: webhook, verify: { scheme: hmac, header: h, secrets: [x] }'),
    /\/verify\/secrets\/0 has 1 byte/,
  ],
  [
    'a key of the sample',
    source('protocol: segment, keys: [sample-write-key]'),
    /\/keys\/0 is a secret of the/,
  ],
  [
    'a secret of the sample',
    source('protocol: webhook, verify: { scheme: github, secrets: [sample-secret] }'),
    /\/secrets\/0 is a secret of the examples/,
  ],
  ['a source without keys', source('id: [/id]'), /\/sources\/s lets anybody send; set keys, jwt or verify/],
  [
    'a secret of two sources',
    `${STORES}sources:
  a: { topic: t, keys: [${LONG}] }
  b: { topic: t, protocol: webhook, verify: { scheme: github, secrets: [${LONG}] } }`,
    /\/sources\/b\/verify\/secrets\/0 is also a secret of a/,
  ],
  [
    'tokens for any audience',
    source("jwt: { jwks: 'https://issuer.example/keys' }"),
    /\/sources\/s\/jwt has no audience/,
  ],
  [
    'keys of tokens over http',
    source("jwt: { jwks: 'http://issuer.example/keys', audience: a }"),
    /\/sources\/s\/jwt\/jwks comes over http/,
  ],
  [
    'a password that Kafka gets readable',
    kafka('sasl: { mechanism: plain, username: u, password: p }'),
    /\/log\/kafka\/sasl plain without tls sends the password readable/,
  ],
  [
    'a Kafka that may be anybody',
    kafka('tls: { verify: false }'),
    /\/log\/kafka\/tls\/verify false trusts any/,
  ],
  [
    'a Redis that may be anybody',
    redis("cluster: { nodes: ['r:1'], tls: { verify: false } }"),
    /\/dedupe\/redis\/cluster\/tls\/verify false trusts any/,
  ],
  [
    'sentinels that may be anybody',
    redis("sentinel: { name: m, nodes: ['r:1'], tls: { verify: false } }"),
    /\/dedupe\/redis\/sentinel\/tls\/verify false trusts any/,
  ],
  [
    'a function that may be anybody',
    calls("url: 'https://f.example', tls: { verify: false }"),
    /\/subscriptions\/f\/function\/http\/tls\/verify false trusts any/,
  ],
  [
    'a token over http',
    calls("url: 'http://f.example', auth: { bearer: b }"),
    /\/http\/url gets its credentials/,
  ],
  [
    'a password over http',
    calls("url: 'http://10.0.0.7:80', auth: { basic: { user: u, password: p } }"),
    /\/http\/url gets its credentials over http/,
  ],
  ['an Azure key over http', calls("url: 'http://f.example', auth: { azureKey: k }"), /\/http\/url gets its/],
  [
    'a header with a login over http',
    calls("url: 'http://f.example', headers: { Authorization: b }"),
    /\/http\/url gets its credentials over http/,
  ],
  [
    'a header with a key over http',
    calls("url: 'http://f.example', headers: { X-Api-Key: b }"),
    /\/http\/url gets/,
  ],
  [
    'a step of a workflow',
    steps("{ name: a, function: { http: { url: 'http://f.example', auth: { bearer: b } } } }"),
    /\/workflows\/w\/steps\/0\/function\/http\/url gets its credentials over http/,
  ],
  [
    'an undo beside others',
    steps(
      "{ parallel: [{ name: a, function: { http: { url: 'https://f.example' } }, undo: { http: { url: 'https://f.example', tls: { verify: false } } } }] }",
    ),
    /\/workflows\/w\/steps\/0\/parallel\/0\/undo\/http\/tls\/verify false trusts any/,
  ],
  [
    'an open admin port',
    `${STORES}${SOURCES}admin: { listen: '0.0.0.0:8081' }`,
    /\/admin\/listen opens the admin port to the network; set admin\.tokens/,
  ],
  [
    'a short admin token',
    `${STORES}${SOURCES}admin: { listen: '0.0.0.0:8081', tokens: { read: [short], operate: [${LONG}] } }`,
    /\/admin\/tokens\/read\/0 has 5 bytes and can be guessed/,
  ],
  [
    'the admin token of compose.yaml',
    `${STORES}${SOURCES}admin: { listen: '0.0.0.0:8081', tokens: { operate: [for-this-laptop-only] } }`,
    /\/admin\/tokens\/operate\/0 is a secret of the examples/,
  ],
  [
    'a source without keys behind a proxy of the same host',
    `gateway: { listen: '127.0.0.1:8080', proxies: [127.0.0.1] }\n${source('id: [/id]')}`,
    /\/sources\/s lets anybody send; set keys, jwt or verify/,
  ],
];

test('each weak setting is one warning, and one error with --production', async () => {
  for (const [name, text, line] of WEAK) {
    const found = await check(text);
    expect([name, found]).toEqual([name, [expect.stringMatching(line)]]);
    expect(found[0]).toMatch(/^warning /);
    expect([name, await check(text, true)]).toEqual([name, [found[0]!.replace('warning', 'error')]]);
  }
});

test('what depends on the network stays a warning', async () => {
  for (const text of [
    kafka('sasl: { mechanism: scram-sha-512, username: u, password: p }'),
    redis("url: 'redis://:hidden-password@redis.example'"),
  ]) {
    const found = await check(text, true);
    expect(found).toEqual([expect.stringMatching(/^warning \/(?:log\/kafka\/sasl|dedupe\/redis\/url) /)]);
    expect(found.join()).not.toContain('hidden-password');
  }
});

test('what is strong, or stays on this machine, is no matter', async () => {
  for (const text of [
    `gateway: { listen: '127.0.0.1:8080' }\n${source('id: [/id]')}`,
    source(`keys: [${LONG}]`),
    source("jwt: { jwks: 'http://127.0.0.1:9/keys', audience: a }"),
    source("jwt: { jwks: 'https://issuer.example/keys', audience: a }"),
    kafka('tls: {}, sasl: { mechanism: plain, username: u, password: p }'),
    redis("url: 'rediss://:pw@redis.example'"),
    redis("url: 'redis://:pw@localhost'"),
    calls("url: 'http://[::1]:80', auth: { bearer: b }"),
    calls("url: 'http://f.example', headers: { X-Tenant: b }"),
    calls("url: 'https://f.example', auth: { bearer: b }"),
    `admin: { listen: '[::1]:8081' }\n${source(`keys: [${LONG}]`)}`,
  ])
    expect([text, await check(text, true)]).toEqual([text, []]);
});

test('no warning stands beside errors that may be its cause', async () => {
  const found = await check(source('keyz: [abc]'), true);
  expect(found).toEqual(['error /sources/s/keyz unknown key; did you mean keys?']);
});

test('the sample config is for a trial: warnings alone, and errors with --production', async () => {
  const text = readFileSync(join(ROOT, 'postern.yaml'), 'utf8');
  const places = ['web', 'sensors', 'github', 'orders', 'approvals', 'shop/keys/0', 'hooks/verify/secrets/0'];
  const at = (lines: string[]) => lines.map((line) => line.split(' ').slice(0, 2).join(' ')).sort();
  const expected = (level: string) => places.map((place) => `${level} /sources/${place}`).sort();
  expect(at(await check(text, false, ROOT))).toEqual(expected('warning'));
  expect(at(await check(text, true, ROOT))).toEqual(expected('error'));
});

test('only what lets strangers in is said at each start too', () => {
  const text = `${source("jwt: { jwks: 'http://issuer.example/keys' }, keys: [abc]")}`;
  const { problems } = readConfig(text, {}, { file: 'p.yaml' });
  expect(problems.map(({ level, pointer }) => `${level} ${pointer}`)).toEqual(['warning /sources/s/jwt']);
});

test('where the config does not say it, events come in on loopback when that is asked for', () => {
  const hostOf = (text: string, local: boolean) =>
    readConfig(STORES + text, {}, { file: 'p.yaml', local }).config!.gateway.listen;
  expect(hostOf('', true)).toEqual({ host: '127.0.0.1', port: 8080 });
  expect(hostOf('', false)).toEqual({ host: '0.0.0.0', port: 8080 });
  expect(hostOf("gateway: { listen: '0.0.0.0:80' }", true)).toEqual({ host: '0.0.0.0', port: 80 });
});
