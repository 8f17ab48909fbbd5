import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: `
sources:
  p: { protocol: events, topic: p, id: [/id] }
  pair: { protocol: events, topic: pair, id: [/device, /seq] }
  content: { protocol: events, topic: content, id: content }
  plain: { protocol: events, topic: plain }
  typed: { protocol: events, topic: typed, id: [/id], type: /t, key: /user, schema: view }
  locked: { protocol: events, topic: locked, id: [/id], keys: [key-one] }
  shop: { protocol: events, topic: shop, id: [/id], origins: ['https://shop.example'] }
  hook: { protocol: webhook, topic: hook, keys: [hook-key] }
`,
    schemas: { view: { type: 'object', properties: { n: { pattern: '^[0-9]+$' } }, required: ['id'] } },
  });
});
afterAll(() => gateway.close());

const pixel = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/pixels/${path}`, { headers });
async function stored(topic: string) {
  return (await gateway.read(topic)).map(({ headers, key, value }) => ({
    id: Buffer.from(headers.ce_id!).toString(),
    type: Buffer.from(headers.ce_type!).toString(),
    key: key === null ? null : Buffer.from(key).toString(),
    value: value === null ? null : Buffer.from(value).toString(),
  }));
}

describe('GET /pixel', () => {
  it('stores the query as one event of strings, without the key, and answers with an image', async () => {
    const reply = await pixel(
      'p?id=a&key=k&page=%2Fb+c&n=1&access_token=t&%F0%9F%90%8E=%E2%82%AC&empty=&n=2&__proto__=x',
    );
    const bytes = new Uint8Array(await reply.arrayBuffer());
    expect([reply.status, reply.headers.get('content-type'), reply.headers.get('cache-control')]).toEqual([
      200,
      'image/gif',
      'no-store',
    ]);
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect(Buffer.from(bytes).toString('latin1')).toMatch(/^GIF89a\x01\0\x01\0/);
    const [event] = await stored('p');
    expect(event).toEqual({
      id: 'a',
      type: 'postern.p',
      key: null,
      value: '{"id":"a","page":"/b c","n":["1","2"],"🐎":"€","empty":"","__proto__":"x"}',
    });
    // The same once more is a duplicate, and for an image that is as good.
    expect((await pixel('p?id=a')).status).toBe(200);
    expect(await stored('p')).toHaveLength(1);
  });

  it('gives an event an id of its own when the query has none where the source looks for it', async () => {
    const queries = [
      'pair?device=d',
      'pair?device=d',
      'pair?device=d&seq=',
      'pair?device=d&seq=7',
      'pair?device=d&seq=7',
    ];
    for (const query of queries) expect((await pixel(query)).status).toBe(200);
    const ids = (await stored('pair')).map((event) => event.id);
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(4);
    expect(ids).toContain('d:7');
    for (const query of ['plain', 'plain?', 'plain?a=1', 'plain?a=1'])
      expect((await pixel(query)).status).toBe(200);
    expect((await stored('plain')).map((event) => event.value)).toEqual([
      '{}',
      '{}',
      '{"a":"1"}',
      '{"a":"1"}',
    ]);
    for (const query of ['content?a=1', 'content?a=1']) expect((await pixel(query)).status).toBe(200);
    expect(await stored('content')).toHaveLength(1);
  });

  it('judges as ever, and answers a refusal with its status and no image', async () => {
    expect((await pixel('typed?id=t1&t=view&user=u&n=5')).status).toBe(200);
    expect(await stored('typed')).toEqual([
      { id: 't1', type: 'view', key: 'u', value: '{"id":"t1","t":"view","user":"u","n":"5"}' },
    ]);
    const refusals: [string, number][] = [
      ['typed?id=t2&t=view&n=x', 422],
      ['typed?id=t3', 422],
      ['locked?id=l1', 401],
      ['locked?id=l2&key=guessed', 401],
      ['nowhere?id=a', 404],
      ['hook?id=a&key=hook-key', 404],
      ['p?id=a&id=b', 422],
    ];
    for (const [query, status] of refusals) {
      const reply = await pixel(query);
      expect([
        query,
        reply.status,
        reply.headers.get('content-type'),
        reply.headers.get('cache-control'),
      ]).toEqual([query, status, 'application/problem+json', 'no-store']);
      expect(await reply.text()).not.toContain('guessed');
    }
    expect((await stored('typed.rejected')).map((event) => event.id)).toEqual(['t2', 't3']);
    expect((await pixel('locked?id=l3&key=key-one')).status).toBe(200);
    expect((await pixel('locked?id=l4&access_token=key-one')).status).toBe(200);
    expect((await stored('locked')).map((event) => event.value)).toEqual(['{"id":"l3"}', '{"id":"l4"}']);
    const posted = await fetch(`${gateway.url}/pixels/p?id=a`, { method: 'POST', body: '{}' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, OPTIONS']);
  });

  it('tells pages by their Referer where a source names its pages', async () => {
    const passes: Record<string, string>[] = [
      {},
      { referer: 'https://shop.example/' },
      { referer: 'https://shop.example/cart?x=1', 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'none' },
      { origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' },
    ];
    for (const [n, headers] of passes.entries())
      expect([headers, (await pixel(`shop?id=${n}`, headers)).status]).toEqual([headers, 200]);
    const refused: Record<string, string>[] = [
      { referer: 'https://evil.example/' },
      { referer: 'https://shop.example.evil.example/' },
      { referer: 'https://evil.example/https://shop.example/' },
      { referer: 'nonsense' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example', referer: 'https://shop.example/' },
      { origin: 'null' },
    ];
    for (const headers of refused)
      expect([headers, (await pixel('shop?id=bad', headers)).status]).toEqual([headers, 403]);
    expect(await stored('shop')).toHaveLength(passes.length);
  });
});
