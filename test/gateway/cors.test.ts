import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: `
gateway: { cors: { origins: ['https://common.example'] } }
sources:
  open: { protocol: events, topic: open, id: [/id] }
  shop: { protocol: events, topic: shop, id: [/id], origins: ['https://shop.example', 'http://localhost:3000'] }
  closed: { protocol: events, topic: closed, id: [/id], keys: [key-one], origins: [] }
  app: { protocol: segment, topic: app, keys: [write-key], origins: ['https://shop.example'] }
`,
  });
});
afterAll(() => gateway.close());

const send = (source: string, origin: string | null, body = `{"id":"${crypto.randomUUID()}"}`) =>
  fetch(`${gateway.url}/events/${source}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/plain;charset=UTF-8', ...(origin === null ? {} : { origin }) },
  });
const preflight = (path: string, origin: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', ...headers },
  });
const said = ({ status, headers }: Response) => [
  status,
  headers.get('access-control-allow-origin'),
  headers.get('access-control-allow-credentials'),
  headers.get('vary'),
];

describe('the origins of a source', () => {
  it('lets its own pages send and read, with credentials, and clients that are no pages', async () => {
    for (const origin of ['https://shop.example', 'http://localhost:3000'])
      expect(said(await send('shop', origin))).toEqual([202, origin, 'true', 'Origin']);
    expect(said(await send('shop', null))).toEqual([202, null, null, 'Origin']);
    expect(await gateway.read('shop')).toHaveLength(3);
  });

  it('refuses every other page, whatever it looks like, and stores nothing', async () => {
    const before = (await gateway.read('shop')).length;
    const others = [
      'https://evil.example',
      'https://common.example',
      'null',
      '',
      'http://shop.example',
      'https://shop.example:443',
      'https://shop.example:8443',
      'https://shop.example/',
      'https://SHOP.example',
      'https://www.shop.example',
      'https://shop.example.evil.example',
      'http://localhost',
      'http://localhost:30000',
      'https://shop.example, https://shop.example',
      'https://shop.example https://evil.example',
    ];
    for (const origin of others)
      expect([origin, ...said(await send('shop', origin))]).toEqual([origin, 403, null, null, 'Origin']);
    expect(await gateway.read('shop')).toHaveLength(before);
  });

  it('refuses before the body is read', async () => {
    const head = (line: string) =>
      `POST /events/shop HTTP/1.1\r\nhost: x\r\n${line}\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\n\r\n`;
    const reply = await rawExchange(gateway.port, [head('origin: https://evil.example')], wholeReply);
    expect(reply).toMatch(/^HTTP\/1\.1 403 /);
    const twice = 'origin: https://shop.example\r\norigin: https://evil.example';
    expect(await rawExchange(gateway.port, [head(twice)], wholeReply)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('an empty list is for no page at all, right key or not', async () => {
    expect(said(await send('closed', 'https://shop.example'))[0]).toBe(401);
    const url = `${gateway.url}/events/closed?key=key-one`;
    const origin = { origin: 'https://shop.example' };
    expect((await fetch(url, { method: 'POST', body: '{"id":"c"}', headers: origin })).status).toBe(403);
    expect((await fetch(url, { method: 'POST', body: '{"id":"c"}' })).status).toBe(202);
  });

  it('sources without a list keep to the common one: it says who may read, not who may send', async () => {
    expect(said(await send('open', 'https://common.example'))).toEqual([
      202,
      'https://common.example',
      null,
      'Origin',
    ]);
    expect(said(await send('open', 'https://shop.example'))).toEqual([202, null, null, 'Origin']);
  });
});

describe('preflight', () => {
  it('is answered for two hours, by the list of the source that the path names', async () => {
    const good = await preflight('/events/shop', 'https://shop.example');
    expect([...said(good), good.headers.get('access-control-max-age')]).toEqual([
      204,
      'https://shop.example',
      'true',
      'Origin',
      '7200',
    ]);
    expect(good.headers.get('access-control-allow-methods')).toBe('POST');
    const allowed = good.headers.get('access-control-allow-headers')!.split(', ');
    for (const name of [
      'authorization',
      'content-type',
      'anonymousid',
      'sentat',
      'idempotency-key',
      'x-retry-count',
    ])
      expect(allowed).toContain(name);
    for (const origin of ['https://common.example', 'https://evil.example', 'null'])
      expect(said(await preflight('/events/shop', origin))).toEqual([204, null, null, 'Origin']);
    expect(said(await preflight('/events/open', 'https://shop.example'))).toEqual([
      204,
      null,
      null,
      'Origin',
    ]);
    const image = await preflight('/pixels/shop', 'https://shop.example');
    expect(image.headers.get('access-control-allow-methods')).toBe('GET');
  });

  it('allows what is asked for, such as extensions of CloudEvents, but no wildcard and nothing that is no name', async () => {
    const names = ['Ce-MyExtension', ' x-sdk-next', '*', 'x y', 'é', 'x'.repeat(65), 'content-type'];
    const asked = { 'access-control-request-headers': Buffer.from(names.join(',')).toString('latin1') };
    const reply = await preflight('/events/shop', 'https://shop.example', asked);
    const allowed = reply.headers.get('access-control-allow-headers')!.split(', ');
    expect(allowed).toEqual(expect.arrayContaining(['ce-myextension', 'x-sdk-next', 'content-type']));
    for (const name of ['*', 'x y', 'xy', 'é', 'x'.repeat(65)]) expect(allowed).not.toContain(name);
    const many = Array.from({ length: 1000 }, (_, n) => `x-${n}`).join();
    const capped = await preflight('/events/shop', 'https://shop.example', {
      'access-control-request-headers': many,
    });
    expect(capped.headers.get('access-control-allow-headers')!.length).toBeLessThan(1000);
    const stranger = await preflight('/events/shop', 'https://evil.example', asked);
    expect(stranger.headers.get('access-control-allow-headers')).toBeNull();
  });

  it('C17 where no source is known, a page of any list may read what went wrong', async () => {
    for (const path of ['/events/nowhere', '/nowhere']) {
      const request = { method: 'POST', body: '{}', headers: { origin: 'https://shop.example' } };
      expect(said(await fetch(gateway.url + path, request))).toEqual([
        404,
        'https://shop.example',
        'true',
        'Origin',
      ]);
    }
    const wrong = await fetch(`${gateway.url}/events/shop`, { headers: { origin: 'https://shop.example' } });
    expect(said(wrong)).toEqual([405, 'https://shop.example', 'true', 'Origin']);
  });

  it('where a key names the source, asks any list before it knows, and the own one once it does', async () => {
    const asked = { 'access-control-request-headers': 'authorization,x-retry-count' };
    const good = await preflight('/v1/t', 'https://shop.example', asked);
    expect(said(good)).toEqual([204, 'https://shop.example', 'true', 'Origin']);
    expect(said(await preflight('/v1/t', 'https://evil.example', asked))).toEqual([
      204,
      null,
      null,
      'Origin',
    ]);
    const track = (key: string, origin: string, inBody = false) =>
      fetch(`${gateway.url}/v1/t${inBody ? '' : `?key=${key}`}`, {
        method: 'POST',
        body: JSON.stringify({ event: 'E', userId: 'u', messageId: 'm', writeKey: key }),
        headers: { origin, 'content-type': 'text/plain' },
      });
    const shop = 'https://shop.example';
    for (const inBody of [false, true]) {
      expect(said(await track('wrong', shop, inBody))).toEqual([401, shop, 'true', 'Origin']);
      for (const origin of ['https://common.example', 'http://localhost:3000', 'null'])
        expect(said(await track('write-key', origin, inBody))).toEqual([403, null, null, 'Origin']);
    }
    expect(await gateway.read('app')).toEqual([]);
    for (const inBody of [false, true])
      expect(said(await track('write-key', shop, inBody))).toEqual([200, shop, 'true', 'Origin']);
    expect(await gateway.read('app')).toHaveLength(1);
  });
});
