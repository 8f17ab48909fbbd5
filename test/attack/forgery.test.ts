import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import { deviceHeaders, githubHeaders, hmac, type Sent } from '../gateway/signing.ts';

/** The calls of the function, event by event. */
interface Call {
  headers: IncomingHttpHeaders;
  body: string;
}

const calls: Call[] = [];
let server: Server;
let project: Project;
let postern: Postern;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    calls.push({ headers: request.headers, body });
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  project = await makeProject({
    yaml: `
log: { embedded: { path: '{folder}/log' } }
dedupe: { embedded: { path: '{folder}/log' } }
sources:
  web: { topic: web, schema: { page.view: view } }
  paid: { topic: paid, id: [/id], type: /type, verify: { scheme: hmac, secrets: [shared], header: x-mac } }
  bare: { topic: paid, verify: { scheme: device, secrets: [master], format: senml } }
  fleet: { topic: paid, id: [/id], type: /type, verify: { scheme: device, secrets: [master] } }
  hub: { protocol: webhook, topic: hub, verify: { scheme: github, secrets: [gh] } }
subscriptions:
  all: { topics: [web, paid, hub], function: { http: { url: 'http://127.0.0.1:${port}/' } } }
`,
    schemas: { view: { type: 'object' } },
  });
  postern = await startPostern(project);
});

afterAll(async () => {
  postern.kill('SIGTERM');
  await postern.exited;
  server.close();
  await project.remove();
});

async function post(path: string, body: string, headers: Sent = {}): Promise<number> {
  const reply = await fetch(postern.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  await reply.arrayBuffer();
  return reply.status;
}

const binary = (id: string, type: string, more: Sent = {}): Sent => ({
  'ce-specversion': '1.0',
  'ce-id': id,
  'ce-source': '/page',
  'ce-type': type,
  ...more,
});
const attributes = ({ headers }: Call) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('ce-')));

/** The calls from `first` on, once the function has been called with an event of this id, which was sent last. */
async function callsUntil(id: string, first: number): Promise<Call[]> {
  await expect
    .poll(() => calls.slice(first).some(({ headers }) => headers['ce-id'] === id), { timeout: 30_000 })
    .toBe(true);
  return calls.slice(first);
}

it('no function sees an event inside an event that was let in for another', async () => {
  const first = calls.length;
  const inner = {
    specversion: '1.0',
    id: 'inner',
    source: '/internal/admin',
    type: 'user.delete',
    device: 'root',
    clientip: '10.0.0.1',
    posternhops: 3,
  };
  for (const datacontenttype of [
    'application/cloudevents+json',
    'APPLICATION/CloudEvents+json; a=b',
    ' application/cloudevents',
  ]) {
    const outer = {
      specversion: '1.0',
      id: 'outer',
      source: '/page',
      type: 'page.view',
      datacontenttype,
      data: inner,
    };
    const structured = { 'content-type': 'application/cloudevents+json' };
    expect(await post('/events/web', JSON.stringify(outer), structured)).toBe(415);
    const batch = { 'content-type': 'application/cloudevents-batch+json' };
    expect(await post('/events/web', JSON.stringify([outer]), batch)).toBe(415);
    const body = JSON.stringify(inner);
    const hub = { ...githubHeaders('gh', body, 'push', 'd-1'), 'content-type': datacontenttype };
    expect(await post('/webhooks/hub', body, hub)).toBe(415);
    // As a header it names structured mode. So the event inside is judged, whose type the source does not take.
    const type = { 'content-type': datacontenttype };
    expect([415, 422]).toContain(await post('/events/web', body, binary('outer', 'page.view', type)));
  }
  expect(await post('/events/web', '{}', binary('web-end', 'page.view'))).toBe(202);
  expect((await callsUntil('web-end', first)).map((call) => attributes(call)['ce-id'])).toEqual(['web-end']);
});

it('a function sees what was signed, and no header that was not', async () => {
  const first = calls.length;
  const body = '{"id":"p-1","type":"order.paid"}';
  const forged = binary('new', 'order.refunded', { 'ce-subject': 'someone', 'ce-partitionkey': 'k' });
  const signers: [string, () => Sent][] = [
    ['/events/paid', () => ({ 'x-mac': hmac('shared', body) })],
    ['/events/fleet', () => deviceHeaders('master', 'd-1', body)],
  ];
  for (const [path, sign] of signers) {
    expect(await post(path, body, sign())).toBe(202);
    expect(await post(path, body, { ...sign(), ...forged })).toBe(400);
    expect(await post(path, body, { ...sign(), 'idempotency-key': 'another' })).toBe(400);
    for (const type of ['application/x-ndjson', 'application/senml+json', 'application/cloudevents+json'])
      expect(await post(path, body, { ...sign(), 'content-type': type })).toBe(415);
    expect(await post(path, body, sign())).toBe(202);
  }
  const pack = '[{"n":"temp","t":1700000000,"v":20}]';
  const senml = () => ({ ...deviceHeaders('master', 'd-1', pack), 'content-type': 'application/senml+json' });
  expect(await post('/events/bare', pack, senml())).toBe(202);
  expect(await post('/events/bare', pack, { ...senml(), 'idempotency-key': 'fresh' })).toBe(400);
  expect(await post('/events/bare', pack, { ...senml(), 'content-type': 'application/json' })).toBe(415);
  expect(await post('/events/bare', pack, senml())).toBe(202);
  const end = '{"id":"paid-end","type":"end"}';
  expect(await post('/events/paid', end, { 'x-mac': hmac('shared', end) })).toBe(202);
  const seen = (await callsUntil('paid-end', first)).map(attributes);
  expect(
    seen.map((one) => [one['ce-source'], one['ce-type'], one['ce-device'], one['ce-subject']]).sort(),
  ).toEqual([
    ['/events/bare', 'senml.measurement', 'd-1', 'temp'],
    ['/events/fleet', 'order.paid', 'd-1', undefined],
    ['/events/paid', 'end', undefined, undefined],
    ['/events/paid', 'order.paid', undefined, undefined],
  ]);
});

it('a function believes what the gateway vouches for, as no client can say it', async () => {
  const first = calls.length;
  const names = ['device', 'clientip', 'dedupe', 'posternhops', 'posternanything'];
  const headers = Object.fromEntries(names.map((name) => [`ce-${name}`, 'made-up']));
  const members = Object.fromEntries(names.map((name) => [name, 'made-up']));
  const event = {
    specversion: '1.0',
    id: 'v-2',
    source: '/page',
    type: 'page.view',
    data: {},
    other: 'kept',
    ...members,
  };
  expect(
    await post('/events/web', '{}', binary('v-1', 'page.view', { ...headers, 'ce-other': 'kept' })),
  ).toBe(202);
  expect(
    await post('/events/web', JSON.stringify(event), { 'content-type': 'application/cloudevents+json' }),
  ).toBe(202);
  const batch = JSON.stringify([{ ...event, id: 'v-3' }]);
  expect(await post('/events/web', batch, { 'content-type': 'application/cloudevents-batch+json' })).toBe(
    202,
  );
  const signed = '{"id":"v-4","type":"t"}';
  expect(await post('/events/fleet', signed, deviceHeaders('master', 'd-7', signed))).toBe(202);
  for (const id of ['v-1', 'v-2', 'v-3', 'v-4']) await callsUntil(id, first);
  const seen = calls.slice(first).map(attributes);
  expect(seen).toHaveLength(4);
  for (const one of seen) {
    const vouched = names.map((name) => one[`ce-${name}`]).filter((value) => value !== undefined);
    const isDevice = one['ce-id'] === 'v-4';
    expect([one['ce-id'], vouched, one['ce-other']]).toEqual([
      one['ce-id'],
      isDevice ? ['d-7'] : [],
      isDevice ? undefined : 'kept',
    ]);
  }
});
