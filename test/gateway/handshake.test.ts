import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

const YAML = `
gateway: { cors: { origins: ['https://shop.example'] } }
sources:
  open: { protocol: events, topic: open, id: [/id] }
  locked:
    protocol: events
    topic: locked
    id: [/id]
    keys: [{ id: partner, key: right-key }]
    rate: { events: 100, key: { events: 20 } }
  signed:
    protocol: events
    topic: signed
    id: [/id]
    verify: { scheme: hmac, secrets: [signing-secret], header: x-signature }
`;

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML });
});
afterAll(() => gateway.close());

const ask = (path: string, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, {
    method: 'OPTIONS',
    headers: { 'webhook-request-origin': 'eventgrid.example.com', ...headers },
  });
const consentOf = ({ status, headers }: Response) => ({
  status,
  origin: headers.get('webhook-allowed-origin'),
  rate: headers.get('webhook-allowed-rate'),
  allow: headers.get('allow'),
});

describe('the CloudEvents webhook handshake', () => {
  it('gives consent to anybody where anybody may send', async () => {
    const reply = await ask('/events/open', { 'webhook-request-rate': '120' });
    expect(consentOf(reply)).toEqual({
      status: 200,
      origin: 'eventgrid.example.com',
      rate: '*',
      allow: 'POST',
    });
    expect(await reply.text()).toBe('');
  });

  it('gives it to who has a key, with the rate of the source a minute', async () => {
    const given = { status: 200, origin: 'eventgrid.example.com', rate: '1200', allow: 'POST' };
    const ways: [string, Record<string, string>][] = [
      ['/events/locked', { authorization: 'Bearer right-key' }],
      ['/events/locked?key=right-key', {}],
      ['/events/locked?access_token=right-key', {}],
    ];
    for (const [path, headers] of ways) {
      const reply = await ask(path, headers);
      expect([path, consentOf(reply)]).toEqual([path, given]);
      expect(reply.headers.get('cache-control')).toBe(path.includes('?') ? 'no-store' : null);
    }
  });

  it('gives none without the right key, to signers, to nobody, or for no source', async () => {
    const cases: [string, Record<string, string>, number][] = [
      ['/events/locked', {}, 401],
      ['/events/locked', { authorization: 'Bearer wrong' }, 401],
      ['/events/locked?access_token=wrong', {}, 401],
      ['/events/signed', {}, 405],
      ['/events/nowhere', {}, 404],
      ['/events/open', { 'webhook-request-origin': 'a b' }, 400],
      ['/events/open', { 'webhook-request-origin': '' }, 400],
    ];
    for (const [path, headers, status] of cases) {
      const reply = await ask(path, headers);
      const { origin, rate } = consentOf(reply);
      expect([path, reply.status, origin, rate]).toEqual([path, status, null, null]);
      expect(reply.headers.get('content-type')).toBe('application/problem+json');
    }
  });

  it('is no CORS preflight, and a preflight is no handshake', async () => {
    const preflight = await fetch(`${gateway.url}/events/locked`, {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    });
    expect([preflight.status, preflight.headers.get('webhook-allowed-origin')]).toEqual([204, null]);
    expect(preflight.headers.get('access-control-allow-methods')).toBe('POST');
    const handshake = await ask('/events/locked', { authorization: 'Bearer right-key' });
    expect(handshake.headers.get('access-control-allow-methods')).toBeNull();
    const bare = await fetch(`${gateway.url}/events/open`, { method: 'OPTIONS' });
    expect([bare.status, bare.headers.get('allow')]).toEqual([204, 'POST, OPTIONS']);
  });

  it('calls nobody back', async () => {
    const calls: string[] = [];
    const { createServer } = await import('node:http');
    const server = createServer((request, response) => {
      calls.push(request.url!);
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const callback = `http://127.0.0.1:${port}/grant`;
    const reply = await ask('/events/open', { 'webhook-request-callback': callback });
    expect(reply.status).toBe(200);
    // Whoever calls does so before a request of ours that comes later.
    await fetch(`http://127.0.0.1:${port}/ours`);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(calls).toEqual(['/ours']);
  });

  it('deliveries with the key in the query are taken, and no cache may keep their replies', async () => {
    for (const [token, status] of [
      ['right-key', 202],
      ['wrong', 401],
    ] as const) {
      const reply = await fetch(`${gateway.url}/events/locked?access_token=${token}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'webhook-request-origin': 'eventgrid.example.com' },
        body: '{"id":"x"}',
      });
      expect([reply.status, reply.headers.get('cache-control')]).toEqual([status, 'no-store']);
    }
  });
});
