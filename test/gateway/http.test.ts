import { once } from 'node:events';
import { connect } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

const LIMIT = 200_000;
const YAML = `
gateway:
  limits: { body: ${LIMIT}B, decompressed: 1MB, event: 150kB, batch: 10, buffered: 1MB, headers: 40, bodyTime: 500ms }
  cors: { origins: ['https://shop.example'], credentials: true }
sources:
  s: { protocol: events, topic: s, id: [/id] }
  locked: { protocol: events, topic: locked, id: [/id], keys: [key-one, key-two] }
`;

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML });
});
afterAll(() => gateway.close());

const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
const head = (...lines: string[]) =>
  `POST /events/s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${lines.join('\r\n')}\r\n\r\n`;
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

async function works(id: string): Promise<void> {
  expect((await post('/events/s', `{"id":"${id}"}`)).status).toBe(202);
}

describe('size and framing', () => {
  it('C04 counts real bytes, whatever the length header says', async () => {
    const chunk = `${(30_000).toString(16)}\r\n${'x'.repeat(30_000)}\r\n`;
    const chunked = await rawExchange(
      gateway.port,
      [head('transfer-encoding: chunked'), chunk.repeat(20), '0\r\n\r\n'],
      wholeReply,
    );
    expect(statusOf(chunked)).toBe(413);
    const framings = [
      ['content-length: -1'],
      ['content-length: abc'],
      ['content-length: 5', 'content-length: 6'],
      ['content-length: 5', 'transfer-encoding: chunked'],
    ];
    for (const lines of framings) {
      const reply = await rawExchange(gateway.port, [head(...lines), '{"id":"f"}']);
      expect([lines, statusOf(reply)]).toEqual([lines, 400]);
    }
    const extension = await rawExchange(gateway.port, [
      head('transfer-encoding: chunked'),
      `1;${'e'.repeat(100_000)}\r\n{\r\n0\r\n\r\n`,
    ]);
    expect([400, 413]).toContain(statusOf(extension));
    const announced = await rawExchange(gateway.port, [head(`content-length: ${LIMIT + 1}`)], wholeReply);
    expect(statusOf(announced)).toBe(413);
    await works('after-framing');
  });

  it('C04 answers 408 when the body stalls', async () => {
    const reply = await rawExchange(gateway.port, [head('content-length: 50'), '{"i']);
    expect(statusOf(reply)).toBe(408);
    expect(reply).toContain('urn:postern:problem:body_timeout');
    expect(reply).toMatch(/the body did not come within \d+ ms/);
    expect(gateway.bufferedBytes()).toBe(0);
    await works('after-stall');
  });

  it('refuses each cap with its own status, naming the limit', async () => {
    const batch = await post('/events/s', `[${'{},'.repeat(10)}{}]`);
    expect([batch.status, ((await batch.json()) as { detail: string }).detail]).toEqual([
      413,
      expect.stringContaining('10'),
    ]);
    const large = await post('/events/s', JSON.stringify({ id: 'l', t: 'x'.repeat(150_000) }));
    const body = (await large.json()) as { events: { errors: { detail: string }[] }[] };
    expect([large.status, body.events[0]!.errors[0]!.detail]).toEqual([
      413,
      expect.stringContaining('150000'),
    ]);
    const headers = Object.fromEntries(Array.from({ length: 41 }, (_, i) => [`x-h${i}`, 'v']));
    expect((await post('/events/s', '{"id":"h"}', headers)).status).toBe(431);
    const field = await rawExchange(gateway.port, [
      head(`x-long: ${'v'.repeat(40_000)}`, 'content-length: 0'),
    ]);
    expect(statusOf(field)).toBe(431);
    expect(field).toContain('the head has more than 32768 bytes or 40 header fields');
  });
});

describe('content-encoding', () => {
  const text = '{"id":"enc"}';
  const encoded = (coding: string, body: Uint8Array) =>
    post('/events/s', new Uint8Array(body), { 'content-encoding': coding });

  it('C05 undoes every coding that is offered', async () => {
    const bodies: [string, Uint8Array][] = [
      ['gzip', gzipSync(text)],
      ['GZIP', gzipSync(text)],
      ['x-gzip', gzipSync(text)],
      ['deflate', deflateSync(text)],
      ['deflate', deflateRawSync(text)],
      ['br', brotliCompressSync(text)],
      ['zstd', zstdCompressSync(text)],
      ['identity', Buffer.from(text)],
      ['gzip', Buffer.concat([gzipSync(text.slice(0, 5)), gzipSync(text.slice(5))])],
    ];
    for (const [coding, body] of bodies)
      expect([coding, (await encoded(coding, body)).status]).toEqual([coding, 202]);
    expect(
      (await gateway.read('s')).filter((record) => Buffer.from(record.headers.ce_id!).toString() === 'enc'),
    ).toHaveLength(1);
  });

  it('C05 refuses half streams, junk, bombs and unknown codings', async () => {
    const random = Buffer.from(
      JSON.stringify({ id: 'r', t: Array.from({ length: 4000 }, (_, i) => (i * 7919) % 1000) }),
    );
    const compress = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };
    for (const [coding, make] of Object.entries(compress)) {
      for (const body of [Buffer.from(text), random]) {
        const whole = make(body);
        const cut = await encoded(coding, whole.subarray(0, whole.length - 8));
        expect([coding, 'cut', cut.status]).toEqual([coding, 'cut', 400]);
        const junk = await encoded(coding, Buffer.concat([whole, Buffer.from('{"id":"junk"}')]));
        expect([coding, 'junk', junk.status]).toEqual([coding, 'junk', 400]);
      }
      const bomb = await encoded(coding, make(Buffer.alloc(20_000_000)));
      expect([coding, 'bomb', bomb.status]).toEqual([coding, 'bomb', 413]);
    }
    for (const coding of ['gzip, gzip', 'compress', 'constructor']) {
      const reply = await encoded(coding, gzipSync(gzipSync(text)));
      expect([reply.status, reply.headers.get('accept-encoding')]).toEqual([415, 'gzip, deflate, br, zstd']);
    }
    expect((await encoded('gzip', gzipSync(''))).status).toBe(400);
    expect(gateway.bufferedBytes()).toBe(0);
  });
});

describe('connections', () => {
  it('C07 refuses without asking for the body, closes, and asks at once when it wants the body', async () => {
    const refused = await rawExchange(gateway.port, [
      `POST /events/locked HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: wrong\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n`,
    ]);
    expect(statusOf(refused)).toBe(401);
    expect(refused).not.toContain('100 Continue');
    expect(refused.toLowerCase()).toContain('connection: close');
    const body = '{"id":"expect"}';
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(head('expect: 100-continue', `content-length: ${body.length}`));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 100 Continue/);
    socket.write(body);
    const [second] = (await once(socket, 'data')) as [Buffer];
    expect(statusOf(second.toString())).toBe(202);
    socket.destroy();
  });

  it('a connection with a thousand requests in one packet leaves room for others', async () => {
    let open = () => {};
    const isOpen = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = await startGateway({
      yaml: 'gateway: { limits: { requests: 128 } }\nsources: { s: { protocol: events, topic: s, id: [/id] } }',
      wrapLog: (log) => ({
        append: (records) => isOpen.then(() => log.append(records)),
        consume: log.consume.bind(log),
        close: log.close.bind(log),
        problem: log.problem.bind(log),
      }),
    });
    const one = (i: number) => `${head('content-length: 15')}{"id":"a-${i + 1000}"}`;
    const many = rawExchange(
      slow.port,
      [Array.from({ length: 1000 }, (_, i) => one(i)).join('')],
      (text) => text.split('HTTP/1.1 ').length > 1000 && text.endsWith('}'),
    );
    await expect.poll(slow.bufferedBytes).toBeGreaterThan(15 * 15);
    const others = Array.from({ length: 10 }, (_, i) =>
      fetch(`${slow.url}/events/s`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{"id":"b-${i}"}`,
      }),
    );
    await expect.poll(slow.bufferedBytes).toBeGreaterThan(25 * 12);
    open();
    for (const reply of await Promise.all(others)) expect(reply.status).toBe(202);
    expect([...(await many).matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(
      Array.from({ length: 1000 }, () => '202'),
    );
    await slow.close();
  });

  it('C07 a client that sends a large body to a wrong place sees the status, not a reset', async () => {
    const reply = await post('/events/nowhere', 'x'.repeat(20_000_000));
    expect(reply.status).toBe(404);
    await works('after-large');
  });

  it('C08 stays up and keeps its counts when clients leave', async () => {
    const before = gateway.requests.length;
    const leave = (request: string) =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(gateway.port, '127.0.0.1', () =>
          socket.write(request, () => socket.destroy()),
        );
        socket.on('close', () => resolve());
        socket.on('error', reject);
      });
    for (let i = 0; i < 100; i++) {
      const body = `{"id":"gone${i}"}`;
      await leave(head(`content-length: ${body.length}`) + body);
      await leave(head('content-length: 500') + body);
    }
    await expect.poll(() => gateway.bufferedBytes()).toBe(0);
    const retried = await post(
      '/events/s',
      `[${Array.from({ length: 10 }, (_, i) => `{"id":"gone${i}"}`).join(',')}]`,
    );
    expect(retried.status).toBe(202);
    const ids = (await gateway.read('s')).map((record) => Buffer.from(record.headers.ce_id!).toString());
    for (let i = 0; i < 10; i++) expect(ids.filter((id) => id === `gone${i}`)).toHaveLength(1);
    expect(gateway.requests.slice(before).some((request) => request.error === 'internal')).toBe(false);
  });

  it('C14 keeps idle connections longer than a balancer does, and says so', async () => {
    const reply = await post('/events/s', '{"id":"idle"}');
    expect(Number(/timeout=(\d+)/.exec(reply.headers.get('keep-alive') ?? '')?.[1])).toBeGreaterThan(60);
  });

  it('asks clients to close while it stops', async () => {
    const stopping = await startGateway({ yaml: YAML });
    stopping.beginStop();
    const reply = await fetch(`${stopping.url}/events/s`, {
      method: 'POST',
      body: '{"id":"stop"}',
      headers: { 'content-type': 'application/json' },
    });
    expect([reply.status, reply.headers.get('connection')]).toEqual([202, 'close']);
    await stopping.close();
  });
});

describe('access', () => {
  it('takes the key in four places, and says the same for every failure', async () => {
    const basic = `Basic ${Buffer.from('key-two:').toString('base64')}`;
    const good: [string, Record<string, string>][] = [
      ['/events/locked', { authorization: 'Bearer key-one' }],
      ['/events/locked', { authorization: basic }],
      ['/events/locked', { 'x-api-key': 'key-two' }],
      ['/events/locked?key=key-one', {}],
    ];
    for (const [path, headers] of good) expect((await post(path, '{"id":"k"}', headers)).status).toBe(202);
    const bad: [string, Record<string, string>][] = [
      ['/events/locked', {}],
      ['/events/locked', { authorization: 'Bearer ' }],
      ['/events/locked', { authorization: 'Bearer key-onE' }],
      ['/events/locked', { authorization: 'Basic !!!' }],
      ['/events/locked', { authorization: 'key-one' }],
      ['/events/locked?key=', {}],
      ['/events/locked?key=key-one%20', {}],
    ];
    const texts = new Set<string>();
    for (const [path, headers] of bad) {
      const reply = await post(path, '{"id":"k"}', headers);
      expect([path, headers, reply.status]).toEqual([path, headers, 401]);
      texts.add(await reply.text());
    }
    expect(texts.size).toBe(1);
  });

  it('C17 lets a page of a listed origin read every refusal', async () => {
    const origin = { origin: 'https://shop.example' };
    const replies: [number, Response][] = [
      [400, await post('/events/s', '{', origin)],
      [401, await post('/events/locked', '{}', origin)],
      [404, await post('/events/nowhere', '{}', origin)],
      [405, await fetch(`${gateway.url}/events/s`, { headers: origin })],
      [413, await post('/events/s', 'x'.repeat(LIMIT + 1), origin)],
      [415, await post('/events/s', '{}', { ...origin, 'content-type': 'image/png' })],
      [422, await post('/events/s', '{}', origin)],
    ];
    for (const [status, reply] of replies) {
      expect([reply.status, reply.headers.get('access-control-allow-origin')]).toEqual([
        status,
        'https://shop.example',
      ]);
      expect(reply.headers.get('access-control-expose-headers')).toContain('Retry-After');
      expect(((await reply.json()) as { status: number }).status).toBe(status);
    }
    const other = await post('/events/s', '{"id":"o"}', { origin: 'https://evil.example' });
    expect([other.headers.get('access-control-allow-origin'), other.headers.get('vary')]).toEqual([
      null,
      'Origin',
    ]);
    const preflight = await fetch(`${gateway.url}/events/s`, {
      method: 'OPTIONS',
      headers: { ...origin, 'access-control-request-method': 'POST' },
    });
    expect([
      preflight.status,
      preflight.headers.get('access-control-allow-credentials'),
      preflight.headers.get('access-control-max-age'),
    ]).toEqual([204, 'true', '7200']);
  });

  it('names what may be sent when the type is not taken', async () => {
    const form = await post('/events/s', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([form.status, form.headers.get('accept-post')]).toEqual([
      415,
      expect.stringContaining('application/json'),
    ]);
    expect(((await form.json()) as { detail: string }).detail).toContain('application/json');
  });
});
