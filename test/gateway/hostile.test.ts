import { connect, type Socket } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { encode } from 'cborg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';
import { githubHeaders } from './signing.ts';

const YAML = `
gateway: { limits: { body: 100kB, decompressed: 8MiB, buffered: 16MiB, unauthenticated: 200kB, values: 1000 } }
sources:
  open: { topic: open, id: content }
  locked: { topic: locked, id: [/id], keys: [locked-key] }
  shop: { protocol: segment, topic: shop, keys: [shop-key] }
  hooks: { protocol: webhook, topic: hooks, verify: { scheme: github, secrets: [hook-secret] } }
`;

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML });
});
afterAll(() => gateway.close());

type Body = string | Uint8Array<ArrayBuffer>;
const post = (path: string, body: Body, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
interface Told {
  detail?: string;
  rejected?: number;
  omitted?: number;
  events?: { index: number; verdict: string; errors?: { code: string; detail: string }[] }[];
}
async function told(path: string, body: Body, headers: Record<string, string> = {}) {
  const response = await post(path, body, headers);
  return { status: response.status, ...((await response.json()) as Told) };
}

describe('content-codings', () => {
  const bytes = (buffer: Buffer) => new Uint8Array(buffer);
  const packers = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };

  it('are not undone further than events are ever packed', async () => {
    for (const [coding, pack] of Object.entries(packers)) {
      const bomb = bytes(pack(Buffer.alloc(8_000_000, ' ')));
      const { status, detail } = await told('/events/open', bomb, { 'content-encoding': coding });
      expect([coding, status, detail]).toEqual([
        coding,
        413,
        expect.stringMatching(/^body grows more than [25]\d\d times by content-encoding \w+$/),
      ]);
    }
  });

  it('take events that are much alike', async () => {
    const event = (i: number) =>
      `{"device":"pump-7","seq":${i},"name":"${'temperature'.repeat(5)}","value":${20 + (i % 50) / 10}}`;
    const text = `[${Array.from({ length: 2500 }, (_, i) => event(i)).join(',')}]`;
    for (const [coding, pack] of Object.entries(packers)) {
      const batch = bytes(pack(Buffer.from(text)));
      const { status } = await told('/events/open', batch, { 'content-encoding': coding });
      expect([coding, status]).toEqual([coding, 202]);
    }
  });

  it('are not undone for who shows no key', async () => {
    const bomb = bytes(brotliCompressSync(Buffer.alloc(8_000_000, ' ')));
    for (const path of ['/events/locked', '/v1/track', '/v1/batch', '/webhooks/hooks'])
      expect([path, (await post(path, bomb, { 'content-encoding': 'br' })).status]).toEqual([path, 401]);
  });

  it('get no more memory than they may need', async () => {
    // A frame that asks for a window of 128 MiB and holds two bytes (RFC 8878 section 3.1.1).
    const frame = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x11, 0, 0, 0x7b, 0x7d]);
    expect((await post('/events/open', frame, { 'content-encoding': 'zstd' })).status).toBe(400);
    frame[5] = 0x68;
    expect((await post('/events/open', frame, { 'content-encoding': 'zstd' })).status).toBe(202);
  });
});

describe('values', () => {
  const many = `[${'0,'.repeat(1000)}0]`;
  const event = `{"id":"v","a":${many}}`;
  const cloudEvent = `{"specversion":"1.0","id":"v","source":"/s","type":"t","data":${event}}`;
  const call = `{"type":"track","event":"e","userId":"u","messageId":"v","properties":{"a":${many}}}`;
  const cases: [string, string, Body, Record<string, string>][] = [
    ['an object', '/events/open', event, {}],
    ['a list', '/events/open', `[${event}]`, {}],
    ['lines', '/events/open', `${event}\n`, { 'content-type': 'application/x-ndjson' }],
    ['a CloudEvent', '/events/open', cloudEvent, { 'content-type': 'application/cloudevents+json' }],
    ['a batch', '/events/open', `[${cloudEvent}]`, { 'content-type': 'application/cloudevents-batch+json' }],
    ['its headers', '/events/open', event, { 'ce-specversion': '1.0', 'ce-id': 'v', 'ce-source': '/s', 'ce-type': 't' }],
    ['CBOR', '/events/open', new Uint8Array(encode(JSON.parse(event))), { 'content-type': 'application/cbor' }],
    ['a call', '/v1/track', call, { authorization: 'Bearer shop-key' }],
    ['calls', '/v1/batch', `{"batch":[${call}]}`, { authorization: 'Bearer shop-key', prefer: 'return=representation' }],
    ['a context', '/v1/batch', `{"context":{"a":${many}},"batch":[]}`, { authorization: 'Bearer shop-key' }],
    ['a webhook', '/webhooks/hooks', event, githubHeaders('hook-secret', event, 'push', 'v')],
  ]; // biome-ignore format: a table

  it.each(cases)('have a limit in %s', async (_name, path, body, headers) => {
    const before = gateway.requests.length;
    const reply = await post(path, body, headers);
    const text = await reply.text();
    expect(gateway.requests).toHaveLength(before + 1);
    const { verdicts, error } = gateway.requests[before]!;
    expect([verdicts.accepted, error === null ? verdicts.rejected : error]).toEqual([
      0,
      error === null ? 1 : 'too_many_values',
    ]);
    // Senders of webhooks and calls are told of success: what is refused is kept.
    if (reply.status >= 400) expect(text).toContain('too_many_values');
  });

  it('of others in the batch are not affected', async () => {
    const { status, rejected } = await told('/events/open', `[{"good":1},${event},{"good":2}]`);
    expect([status, rejected]).toEqual([207, 1]);
  });
});

describe('bodies that do not come', () => {
  const head = (path: string, length: number) =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

  function half(path: string, sent: string, localAddress = '127.0.0.9'): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: gateway.port, host: '127.0.0.1', localAddress });
      socket.on('error', reject);
      socket.on('connect', () => socket.write(head(path, 99_999) + sent, () => resolve(socket)));
    });
  }

  it('take no room for what they announce', async () => {
    const paths = ['/events/open', '/v1/track', '/webhooks/hooks'];
    const sockets = await Promise.all(Array.from({ length: 300 }, (_, i) => half(paths[i % 3]!, '{')));
    await expect.poll(() => gateway.bufferedBytes()).toBe(300);
    const call = '{"type":"track","event":"e","userId":"u","messageId":"in","writeKey":"shop-key"}';
    expect((await post('/v1/track', call)).status).toBe(200);
    expect((await post('/events/open', '{"in":1}')).status).toBe(202);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => gateway.bufferedBytes()).toBe(0);
  });

  it('leave their place to those that come faster', async () => {
    const filler = `{"a":"${'x'.repeat(90_000)}`;
    const sockets = await Promise.all([half('/v1/track', filler), half('/v1/track', filler, '127.0.0.10')]);
    await expect.poll(() => gateway.bufferedBytes()).toBeGreaterThan(180_000);
    const answers = Promise.race(
      sockets.map(
        (socket) => new Promise<string>((resolve) => socket.once('data', (b) => resolve(String(b)))),
      ),
    );
    const call = `{"type":"track","event":"e","userId":"u","messageId":"fast","writeKey":"shop-key","properties":{"a":"${'y'.repeat(50_000)}"}}`;
    // Nobody is slow before a second has passed.
    await expect.poll(async () => (await post('/v1/track', call)).status).toBe(200);
    expect(await answers).toMatch(/^HTTP\/1\.1 503 .*retry-after: 1\r\n.*gave way/is);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => gateway.bufferedBytes()).toBe(0);
  });

  it('end when they come with less than the least rate', async () => {
    const slow = half('/events/open', '{').then((socket) => {
      const drip = setInterval(() => socket.write(' '), 100);
      return new Promise<string>((resolve) => {
        socket.once('data', (bytes) => {
          clearInterval(drip);
          socket.destroy();
          resolve(String(bytes));
        });
      });
    });
    expect(await slow).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('may come byte by byte', async () => {
    const body = '{"by":"bytes"}';
    const chunks = [...body].map((byte) => `1\r\n${byte}\r\n`).join('');
    const open = head('/events/open', 0).replace('content-length: 0', 'transfer-encoding: chunked');
    expect(await rawExchange(gateway.port, [`${open + chunks}0\r\n\r\n`], wholeReply)).toMatch(
      /^HTTP\/1\.1 202 /,
    );
    const stored = await gateway.read('open');
    expect(stored.map(({ value }) => Buffer.from(value!).toString())).toContain(body);
  });
});

describe('replies', () => {
  it('to refused events are bounded', async () => {
    const lines = 'no\n'.repeat(2500);
    const { status, rejected, events, omitted } = await told('/events/open', lines, {
      'content-type': 'application/x-ndjson',
    });
    expect([status, rejected, events!.length + omitted!]).toEqual([400, 2500, 2500]);
    expect(JSON.stringify(events).length).toBeLessThan(70_000);
    expect(events!.map(({ index }) => index)).toEqual(events!.map((_, i) => i));
  });

  it('leave out duplicates before anything else', async () => {
    const batch = Array.from({ length: 2400 }, (_, i) => `{"filler":"f${i}"}`);
    await post('/events/open', `[${batch.join(',')}]`);
    const { status, events, omitted } = await told('/events/open', `[${[...batch, 7].join(',')}]`);
    expect([status, omitted, events!.map(({ index, verdict }) => [index, verdict])]).toEqual([
      207,
      2400,
      [[2400, 'rejected']],
    ]);
  });
});

describe('paths', () => {
  it('with dot segments lead nowhere', async () => {
    const ask = (target: string) => `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`;
    for (const target of [
      '/x/%2e%2e/openapi.json',
      '/x/../openapi.json',
      '/%2E/openapi.json',
      '/./openapi.json',
    ])
      expect([target, await rawExchange(gateway.port, [ask(target)], wholeReply)]).toEqual([
        target,
        expect.stringMatching(/^HTTP\/1\.1 404 /),
      ]);
    const asked = await rawExchange(gateway.port, [ask('/openapi.json?from=/../x')], wholeReply);
    expect(asked).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('of protocols that no source uses are not there', async () => {
    const one = await startGateway({
      yaml: 'gateway: { openapi: false }\nsources: { s: { topic: s, id: content } }',
    });
    for (const path of ['/v1/track', '/v1/batch', '/webhooks/s', '/v1/projects/k/settings']) {
      const { status } = await fetch(one.url + path, { method: 'POST', body: '{}' });
      expect([path, status]).toEqual([path, 404]);
    }
    expect((await fetch(`${one.url}/openapi.json`)).status).toBe(404);
    expect((await fetch(`${one.url}/events/s`, { method: 'POST', body: '{}' })).status).toBe(202);
    await one.close();
  });
});
