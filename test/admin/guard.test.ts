import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { AdminAccess } from '../../src/admin/guard.ts';
import type { WorkflowsControl } from '../../src/admin/workflows.ts';
import { accessOf, type Call, openPort } from './port.ts';

const READ = 'read-token-0123456789';
const OPERATE = 'operate-token-0123456789';
const tokens = { read: [READ], operate: [OPERATE, 'operate-second-0123456789'] };
const everywhere = { host: '0.0.0.0', port: 8081 };
const instance = {
  ...{ id: 'o-1', status: 'running', outcome: null, began: 0, steps: {}, failure: null },
  ...{ input: '{"card":"4111"}', results: {} },
};

const wishes: string[] = [];
const control: WorkflowsControl = {
  names: () => ['order'],
  list: () => [instance],
  find: () => instance,
  async retry(_, id) {
    wishes.push(`retry ${id}`);
    return 'stored';
  },
  async cancel(_, id) {
    wishes.push(`cancel ${id}`);
    return 'stored';
  },
};

const json = { 'content-type': 'application/json' };
const post: Call = { method: 'POST', headers: json, body: '{}' };
const READING: [string, Call][] = [
  ['/workflows', {}],
  ['/workflows/order/o-1', {}],
];
const OPERATING: [string, Call][] = [
  ['/workflows/order/o-1/retry', post],
  ['/workflows/order/o-1/cancel', post],
];
/** Every route but health and metrics, what looks like those, and what is not there at all. */
const GUARDED: [string, Call][] = [
  ...READING,
  ...OPERATING,
  ['/workflows', { method: 'HEAD' }],
  ['/workflows', { method: 'OPTIONS' }],
  ['/workflows/order/o-1/cancel', { method: 'OPTIONS' }],
  ['/', {}],
  ['/none', post],
  ['/livez/', {}],
  ['//metrics', {}],
  ['/metrics/x', {}],
  ['/%6detrics/', {}],
];
const OPEN = ['/livez', '/readyz', '/metrics'];

let port: Awaited<ReturnType<typeof openPort>> | null = null;
afterEach(async () => {
  await port?.close();
  port = null;
});

async function open(access: Partial<AdminAccess> = {}) {
  wishes.length = 0;
  port = await openPort({ access: accessOf(access), workflows: () => control });
  return port.call;
}

/** What each of these is answered when these headers come with it. */
async function answers(calls: [string, Call][], headers: Record<string, string>) {
  const all = [];
  for (const [path, call] of calls) {
    const answer = await port!.call(path, { ...call, headers: { ...call.headers, ...headers } });
    all.push({ what: `${call.method ?? 'GET'} ${path}`, ...answer });
  }
  return all;
}

/** Asserts that all are refused with this status, and that the text of the refusal says so; nothing was done. */
async function refusedAll(
  calls: [string, Call][],
  headers: Record<string, string>,
  status: number,
  detail: string,
) {
  for (const answer of await answers(calls, headers)) {
    expect([answer.what, answer.status]).toEqual([answer.what, status]);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.text).not.toContain('4111');
    if (!answer.what.startsWith('HEAD'))
      expect(JSON.parse(answer.text)).toMatchObject({ status, detail: expect.stringContaining(detail) });
  }
  expect(wishes).toEqual([]);
}

const FOREIGN_HOSTS = [
  'attacker.example:8081',
  'attacker.example',
  'localhost.attacker.example',
  'attacker.localhost',
  '127.0.0.1.attacker.example:8081',
  '1.2.3',
  '0x7f000001',
  'this-machine.attacker.example',
  'localhost:8081:8081',
  '[::1].attacker.example',
];

test.each(FOREIGN_HOSTS)(
  'a page that reaches the port under a name of its own gets nothing: Host %s',
  async (host) => {
    await open({ tokens });
    // Node itself refuses what is no host at all.
    const isHost = !/:.*:|\]\./.test(host);
    const headers = { host, authorization: `Bearer ${OPERATE}` };
    if (isHost) await refusedAll(GUARDED, headers, 403, 'admin.hosts');
    else for (const { status } of await answers(GUARDED, headers)) expect([400, 403]).toContain(status);
    expect(wishes).toEqual([]);
  },
);

test('a request without Host gets nothing but health and metrics', async () => {
  await open();
  const { port: number } = port!;
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(number, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.0\r\n\r\n`));
      socket.setTimeout(10_000, () => socket.destroy(new Error(`no answer to ${path} in 10 s`)));
      socket.on('data', (bytes) => (text += bytes.toString()));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
  expect(await ask('/workflows')).toMatch(/^HTTP\/1\.1 403 .*admin\.hosts/s);
  expect(await ask('/livez')).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  ['localhost:8081'],
  ['LOCALHOST'],
  ['127.0.0.1:1'],
  ['127.9.8.7:8081'],
  ['[::1]:8081'],
  ['10.2.3.4:8081'],
  ['[fd00::1]'],
  ['this-machine:8081'],
  ['Admin.Shop.example'],
  ['admin.internal:8081'],
])('the machine, its addresses and the names in admin.hosts are served: Host %s', async (host) => {
  await open({ hosts: ['admin.shop.example'], listen: { host: 'Admin.internal', port: 8081 }, tokens });
  const headers = { host, authorization: `Bearer ${OPERATE}` };
  for (const { status, what } of await answers(READING, headers)) expect([what, status]).toEqual([what, 200]);
  for (const { status, what } of await answers(OPERATING, headers))
    expect([what, status]).toEqual([what, 202]);
  expect(wishes).toEqual(['retry o-1', 'cancel o-1']);
});

test.each([
  'http://attacker.example',
  'http://localhost:3000',
  'http://localhost',
  'http://127.0.0.1:8081',
  'https://localhost:8081.attacker.example',
  'null',
  '',
  'localhost:8081',
])('a page of another origin gets nothing: Origin %j', async (origin) => {
  await open({ tokens });
  const headers = { host: 'localhost:8081', origin, authorization: `Bearer ${OPERATE}` };
  await refusedAll(GUARDED, headers, 403, 'Origin');
});

test.each(['cross-site', 'same-site', 'Cross-Site', 'same-origin, cross-site', ''])(
  'what a browser says comes from another site gets nothing: Sec-Fetch-Site %j',
  async (site) => {
    await open({ tokens });
    const headers = { host: 'localhost', 'sec-fetch-site': site, authorization: `Bearer ${OPERATE}` };
    await refusedAll(GUARDED, headers, 403, 'Sec-Fetch-Site');
  },
);

test.each([
  ['localhost:8081', 'http://localhost:8081'],
  ['10.0.0.1', 'http://10.0.0.1'],
  // A proxy in front adds TLS.
  ['admin.shop.example', 'https://admin.shop.example'],
  ['admin.shop.example:443', 'https://admin.shop.example'],
  ['Admin.Shop.example:8443', 'https://admin.shop.example:8443'],
])("the port's own pages are served: Host %s, Origin %s", async (host, origin) => {
  await open({ hosts: ['admin.shop.example'], tokens });
  const headers = { host, origin, 'sec-fetch-site': 'same-origin', authorization: `Bearer ${OPERATE}` };
  for (const { status } of await answers(OPERATING, headers)) expect(status).toBe(202);
  delete (headers as Partial<typeof headers>).origin;
  headers['sec-fetch-site'] = 'none';
  for (const { status } of await answers(READING, headers)) expect(status).toBe(200);
});

test.each([
  ['no tokens, everywhere', { listen: everywhere }],
  ['tokens, everywhere', { listen: everywhere, tokens }],
  ['tokens, on loopback', { tokens }],
])(
  'health and metrics are open to probes and to Prometheus, whatever they call us: %s',
  async (_, access) => {
    const call = await open(access);
    for (const path of OPEN) {
      for (const host of ['10.1.2.3:8081', 'postern-admin.shop.svc:8081', 'gateway:8081'])
        expect([path, (await call(path, { headers: { host } })).status]).toEqual([path, 200]);
      const foreign = { host: 'a.example', origin: 'http://a.example', 'sec-fetch-site': 'cross-site' };
      expect((await call(path, { headers: foreign })).status).toBe(200);
      expect((await call(path, { method: 'HEAD' })).status).toBe(200);
      expect((await call(path, { method: 'POST', body: '{}' })).status).toBe(405);
    }
  },
);

test.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])(
  'without tokens a listener on loopback serves this machine: %s',
  async (host) => {
    await open({ listen: { host, port: 8081 } });
    for (const { status } of await answers(READING, {})) expect(status).toBe(200);
    for (const { status } of await answers(OPERATING, {})) expect(status).toBe(202);
    // Also to who sends one.
    for (const { status } of await answers(READING, { authorization: 'Bearer any' }))
      expect(status).toBe(200);
  },
);

test.each(['0.0.0.0', '::', '10.0.0.1', 'admin.internal', '128.0.0.1', '::ffff:10.0.0.1'])(
  'without tokens any other listener serves health and metrics only: %s',
  async (host) => {
    await open({ listen: { host, port: 8081 } });
    for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }])
      await refusedAll(GUARDED, headers as Record<string, string>, 403, 'admin.tokens');
  },
);

test.each([
  ['no token', {}],
  ['another scheme', { authorization: `Basic ${btoa(`${OPERATE}:`)}` }],
  ['the token without a scheme', { authorization: OPERATE }],
  ['the token in another header', { 'x-api-key': OPERATE }],
])('where tokens are set, who sends none is asked for one: %s', async (_, headers) => {
  for (const listen of [everywhere, { host: '127.0.0.1', port: 8081 }]) {
    await open({ listen, tokens });
    await refusedAll(GUARDED, headers as Record<string, string>, 401, 'Authorization: Bearer');
    for (const answer of await answers(GUARDED, headers as Record<string, string>))
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="postern admin"');
    await port!.close();
  }
});

test.each([
  ['another', 'nobodys-token'],
  ['the beginning of one', OPERATE.slice(0, -1)],
  ['more than one', `${OPERATE}x`],
  ['two', `${OPERATE},${READ}`],
  ['two words', `${OPERATE} ${OPERATE}`],
  ['another case', OPERATE.toUpperCase()],
  ['an empty one', ''],
  ['a very long one', 'x'.repeat(30_000)],
])('a wrong token opens nothing, and is not repeated: %s', async (_, token) => {
  await open({ listen: everywhere, tokens });
  const headers = { authorization: `Bearer ${token}` };
  const expected = token === '' ? 'Authorization: Bearer' : 'not in admin.tokens';
  await refusedAll(GUARDED, headers, 401, expected);
  for (const { text } of await answers(READING, headers)) {
    for (const secret of [READ, OPERATE, token || READ]) expect(text).not.toContain(secret);
  }
});

test('a token to read with reads and does nothing else, one to operate with does both', async () => {
  await open({ listen: everywhere, tokens });
  for (const token of [READ, ...tokens.operate]) {
    for (const { what, status } of await answers(READING, { authorization: `bearer ${token}` }))
      expect([what, status]).toEqual([what, 200]);
  }
  const others: [string, Call][] = ['PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [
    '/workflows',
    { method },
  ]);
  await refusedAll([...OPERATING, ...others], { authorization: `Bearer ${READ}` }, 403, 'may only read');
  for (const answer of await answers(OPERATING, { authorization: `Bearer ${READ}` }))
    expect(answer.headers['www-authenticate']).toContain('error="insufficient_scope"');
  for (const token of tokens.operate) {
    for (const { what, status } of await answers(OPERATING, { authorization: `Bearer ${token}` }))
      expect([what, status]).toEqual([what, 202]);
  }
  expect(wishes).toEqual(['retry o-1', 'cancel o-1', 'retry o-1', 'cancel o-1']);
  expect((await answers([['/none', {}]], { authorization: `Bearer ${READ}` }))[0]!.status).toBe(404);
});

test('a token that is in both lists may operate', async () => {
  await open({ tokens: { read: [READ], operate: [READ] } });
  for (const { status } of await answers(OPERATING, { authorization: `Bearer ${READ}` }))
    expect(status).toBe(202);
});

test('no answer is stored, guessed at, or shown in a page of another site', async () => {
  await open({ tokens });
  const calls: [string, Call][] = [...OPEN.map((path): [string, Call] => [path, {}]), ...GUARDED];
  const all = [
    ...(await answers(calls, {})),
    ...(await answers(calls, { host: 'attacker.example' })),
    ...(await answers(calls, { authorization: `Bearer ${OPERATE}` })),
  ];
  for (const { what, headers } of all) {
    expect({ what, ...headers }).toMatchObject({
      what,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    });
  }
});

test('a body is neither waited for nor kept: what is announced as large is refused', async () => {
  await open({ listen: everywhere, tokens });
  const { port: number } = port!;
  /** Sends a head and never the body; resolves with the head of the answer. */
  const begin = (path: string, lines: string[]) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(number, '127.0.0.1', () =>
        socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join('\r\n')}\r\n\r\n`),
      );
      socket.setTimeout(10_000, () => socket.destroy(new Error(`no answer to ${path} in 10 s`)));
      socket.once('data', (bytes) => {
        resolve(bytes.toString());
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const own = [`authorization: Bearer ${OPERATE}`, 'content-type: application/json'];
  const long = 'content-length: 1073741824';
  for (const [path] of OPERATING) {
    expect(await begin(path, [long])).toMatch(/^HTTP\/1\.1 401 /);
    expect(await begin(path, [...own, long])).toMatch(/^HTTP\/1\.1 413 /);
    expect(wishes).toEqual([]);
    expect(await begin(path, [...own, 'transfer-encoding: chunked'])).toMatch(/^HTTP\/1\.1 202 /);
    wishes.length = 0;
  }
  for (const path of OPEN) expect(await begin(path, [long])).toMatch(/^HTTP\/1\.1 405 /);
});
