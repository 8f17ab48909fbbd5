import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

const MIB = 1024 * 1024;
/** Milliseconds: far more than a slice of work, far less than any of these requests in one go. */
const MOST = 5_000;
const KEY = 'work-hook-key-0001';
const WRITE_KEY = 'work-write-key-0001';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: `
gateway: { limits: { body: 16MiB, decompressed: 16MiB, perAddress: 64MiB, perSource: 64MiB } }
sources:
  open: { topic: open, id: [/id], type: /type, subject: /subject, key: /key }
  senml: { topic: senml }
  hooks: { protocol: webhook, topic: hooks, keys: ['${KEY}'] }
  shop: { protocol: segment, topic: shop, keys: ['${WRITE_KEY}'] }
`,
  });
});
afterAll(() => gateway.close());

interface Told {
  status: number;
  detail?: string;
  accepted?: number;
  events?: { errors?: { code: string }[] }[];
}

async function post(path: string, body: string | Buffer, type: string): Promise<Told> {
  const response = await fetch(gateway.url + path, {
    method: 'POST',
    body: new Uint8Array(Buffer.from(body)),
    headers: { 'content-type': type, 'x-api-key': KEY },
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** The answer, and for how long everybody else waited at most. */
async function timed(path: string, body: string | Buffer, type: string): Promise<Told & { blocked: number }> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const answer = await post(path, body, type);
  delay.disable();
  return { ...answer, blocked: delay.max / 1e6 };
}

const list = (count: number, item: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => item(n)).join();
/** A CBOR head of a major type with a length of 32 bits. */
const head = (major: number, length: number) => {
  const bytes = Buffer.alloc(5);
  bytes[0] = (major << 5) | 26;
  bytes.writeUInt32BE(length, 1);
  return bytes;
};

it('SenML records of very many labels hold up nobody', async () => {
  const record = (labels: number) =>
    `{"n":"x","v":1,"t":1700000000,${list(labels, (n) => `"label${n}":${n}`)}}`;
  const most = await timed('/events/senml', `[${record(997)}]`, 'application/senml+json');
  expect([most.status, most.accepted]).toEqual([202, 1]);
  const [stored] = await gateway.read('senml');
  expect(JSON.parse(Buffer.from(stored!.value!).toString())).toMatchObject({
    n: 'x',
    label0: 0,
    label996: 996,
  });
  const many = await timed('/events/senml', `[${record(10_000)}]`, 'application/senml+json');
  expect([many.status, many.detail]).toEqual([400, 'record 0 has more than 1000 labels']);
  const all = Array.from({ length: 200 }, () => record(997)).join();
  expect((await timed('/events/senml', `[${all}]`, 'application/senml+json')).blocked).toBeLessThan(MOST);
  expect(Math.max(most.blocked, many.blocked)).toBeLessThan(MOST);
});

it('places of a source are found at the end of very many members', async () => {
  let id = 0;
  for (const name of ['a', 'idle', '\\n', '\\u0069e', 'é', '']) {
    const members = list(20_000, () => `"${name}":1`);
    const body = `{${members},"id":${++id},"type":"t","subject":6,"k\\u0065y":7}`;
    const { status, blocked } = await timed('/events/open', body, 'application/json');
    expect([name, status]).toEqual([name, 202]);
    expect(blocked).toBeLessThan(MOST);
  }
});

it('CBOR of tags, of large numbers and of long texts holds up nobody', async () => {
  const number = Buffer.concat([Buffer.from('c2590100', 'hex'), Buffer.alloc(256, 0xff)]);
  const bodies: [string, Buffer][] = [
    ['tags', Buffer.concat([Buffer.alloc(15 * MIB, 0xc6), Buffer.from([0])])],
    ['marks', Buffer.concat([Buffer.from('d9d9f7'.repeat(5 * MIB), 'hex'), Buffer.from([0xa0])])],
    ['numbers', Buffer.concat([head(4, 1), head(4, 40_000), ...Array<Buffer>(40_000).fill(number)])],
    ['bytes', Buffer.concat([head(4, 1), head(2, 12 * MIB), Buffer.alloc(12 * MIB, 0xfb)])],
    ['text', Buffer.concat([head(4, 1), head(3, 15 * MIB), Buffer.alloc(15 * MIB, 1)])],
  ];
  for (const [name, body] of bodies) {
    const { status, blocked } = await timed('/events/open', body, 'application/cbor');
    expect([name, status]).toEqual([name, name === 'tags' || name === 'marks' ? 422 : 413]);
    expect([name, blocked < MOST, blocked]).toEqual([name, true, blocked]);
  }
});

it('events of CBOR that are too much as JSON all together are refused together', async () => {
  const event = Buffer.concat([Buffer.from('a161617984d0', 'hex'), Buffer.alloc(34_000, 1)]);
  const body = Buffer.concat([head(4, 100), ...Array<Buffer>(100).fill(event)]);
  expect(await post('/events/open', body, 'application/cbor')).toMatchObject({
    status: 413,
    detail: `body has more than ${16 * MIB} characters as JSON`,
  });
  expect(gateway.bufferedBytes()).toBe(0);
});

it('lines without anything on them hold up nobody', async () => {
  const body = Buffer.concat([Buffer.alloc(15 * MIB, '\n'), Buffer.from('{"id":"last","type":"t"}')]);
  const { status, blocked } = await timed('/events/open', body, 'application/x-ndjson');
  expect(status).toBe(202);
  expect(blocked).toBeLessThan(MOST);
});

it('a form that is larger as JSON than an event may be is refused', async () => {
  const body = Buffer.concat([Buffer.from('a='), Buffer.alloc(200 * 1024, 1)]);
  const { status, events } = await post('/webhooks/hooks', body, 'application/x-www-form-urlencoded');
  expect([status, events?.[0]?.errors?.[0]?.code]).toEqual([413, 'event_too_large']);
});

it('a pixel whose names go deeper than an event may is refused', async () => {
  const get = async (levels: number) => {
    const name = Array(levels).fill('a').join('.');
    const reply = await fetch(
      `${gateway.url}/pixel/v1/track?writeKey=${WRITE_KEY}&userId=u&event=e&${name}=1`,
    );
    return [reply.status, reply.headers.get('content-type')];
  };
  expect(await get(64)).toEqual([200, 'image/gif']);
  expect(await get(65)).toEqual([422, 'application/problem+json']);
  expect(await get(15_000)).toEqual([422, 'application/problem+json']);
});
