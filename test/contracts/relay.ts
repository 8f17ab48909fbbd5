import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type ForwardedRequest, RELAY_MARK, type Relay } from '../../src/ports/relay.ts';
import { freePort } from '../services/free-port.ts';

export interface RelayOptions {
  /** URL of the gateway that stores. */
  origin: string;
  /** Milliseconds until its reply must have arrived. */
  timeout: number;
  forwardsRefusedRequests: boolean;
}

/** A request as the origin got it. */
interface Received {
  method: string | undefined;
  target: string | undefined;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What every relay does. */
export function relayContract(name: string, make: (options: RelayOptions) => Relay): void {
  describe(`${name} as a relay`, { timeout: 30_000 }, () => {
    const servers: Server[] = [];
    afterEach(() => {
      for (const server of servers.splice(0)) {
        server.closeAllConnections();
        server.close();
      }
    });

    /** A relay to a real server with this listener. */
    async function relayTo(listener: RequestListener, options: Partial<RelayOptions> = {}): Promise<Relay> {
      const server = createServer(listener);
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return make({ origin, timeout: 10_000, forwardsRefusedRequests: false, ...options });
    }

    const gateway = { [RELAY_MARK]: 'answered', 'content-type': 'application/json' };
    const request = (parts: Partial<ForwardedRequest> = {}): ForwardedRequest => ({
      method: 'POST',
      target: '/events/s',
      headers: [['content-type', 'application/json']],
      body: new TextEncoder().encode('{}'),
      ...parts,
    });

    /** A gateway that keeps the requests it gets. */
    function recorder(received: Received[]): RequestListener {
      return (incoming, outgoing) => {
        const chunks: Buffer[] = [];
        incoming
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('end', () => {
            const { method, url, headers } = incoming;
            received.push({ method, target: url, headers, body: Buffer.concat(chunks) });
            outgoing.writeHead(202, gateway).end();
          });
      };
    }

    test('the gateway gets method, path, query, headers and body as they were sent, with the mark', async () => {
      const received: Received[] = [];
      const relay = await relayTo(recorder(received));
      const body = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      await relay.forward(
        request({
          target: '/events/%C3%A9?key=a%20b&key=&q=%2F..%2F',
          headers: [
            ['content-type', 'application/x-ndjson'],
            ['content-encoding', 'gzip'],
            ['authorization', 'Bearer k'],
            ['webhook-signature', 'v1,abc= v1,def='],
            ['ce-id', 'caf%C3%A9'],
          ],
          body,
        }),
      );
      expect(received).toHaveLength(1);
      const [{ method, target, headers, body: got }] = received as [Received];
      expect([method, target, [...got]]).toEqual([
        'POST',
        '/events/%C3%A9?key=a%20b&key=&q=%2F..%2F',
        [...body],
      ]);
      expect(headers).toMatchObject({
        'content-type': 'application/x-ndjson',
        'content-encoding': 'gzip',
        authorization: 'Bearer k',
        'webhook-signature': 'v1,abc= v1,def=',
        'ce-id': 'caf%C3%A9',
        [RELAY_MARK]: expect.any(String),
      });
    });

    test('a request without a body stays without one', async () => {
      const received: Received[] = [];
      const relay = await relayTo(recorder(received));
      await relay.forward(request({ method: 'GET', target: '/pixels/s?id=1', headers: [], body: null }));
      await relay.forward(request({ body: new Uint8Array(0) }));
      expect(received.map(({ method, body }) => [method, body.length])).toEqual([
        ['GET', 0],
        ['POST', 0],
      ]);
    });

    test('headers of the connection, and addresses that a client claims, are not forwarded', async () => {
      const received: Received[] = [];
      const relay = await relayTo(recorder(received));
      await relay.forward(
        request({
          headers: [
            ['host', 'edge.example'],
            ['content-length', '17'],
            ['te', 'trailers'],
            ['x-forwarded-for', '203.0.113.9'],
            ['forwarded', 'for=203.0.113.9'],
            ['accept-encoding', 'br'],
          ],
        }),
      );
      const [{ headers }] = received as [Received];
      expect(headers.host).toMatch(/^127\.0\.0\.1:/);
      expect([headers['content-length'], headers.te, headers['x-forwarded-for'], headers.forwarded]).toEqual([
        '2',
        undefined,
        undefined,
        undefined,
      ]);
    });

    test('the reply has the status, the body and the headers for the client', async () => {
      const body = Buffer.from([0, 1, 2, 254, 255]);
      const relay = await relayTo((_, outgoing) => {
        const headers = { ...gateway, 'retry-after': '7', ratelimit: '"events";r=0;t=7' };
        outgoing.writeHead(429, { ...headers, 'access-control-allow-origin': '*' }).end(body);
      });
      const reply = (await relay.forward(request()))!;
      expect([reply.status, [...reply.body!]]).toEqual([429, [...body]]);
      expect(reply.headers).toMatchObject({
        'content-type': 'application/json',
        'retry-after': '7',
        ratelimit: '"events";r=0;t=7',
      });
      // The gateway that forwards makes these from its own config.
      expect(reply.headers).not.toHaveProperty('access-control-allow-origin');
      expect(reply.headers).not.toHaveProperty(RELAY_MARK);
    });

    test('a reply without a body has none', async () => {
      const relay = await relayTo((_, outgoing) => void outgoing.writeHead(204, gateway).end());
      expect(await relay.forward(request())).toMatchObject({ status: 204, body: null });
    });

    test('there is no reply of a server that is not a gateway, whatever it says', async () => {
      let requests = 0;
      const relay = await relayTo((incoming, outgoing) => {
        requests++;
        const status = Number(incoming.headers['x-status']);
        outgoing.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('{}');
      });
      for (const status of ['200', '202', '302', '404', '500'])
        expect(await relay.forward(request({ headers: [['x-status', status]] }))).toBeNull();
      // Nothing is sent twice, and no redirect is followed.
      expect(requests).toBe(5);
    });

    test('there is no reply when nobody listens, when the connection breaks, or when time is up', async () => {
      const options = { timeout: 10_000, forwardsRefusedRequests: false };
      expect(
        await make({ ...options, origin: `http://127.0.0.1:${await freePort()}` }).forward(request()),
      ).toBeNull();
      const broken = await relayTo((_, outgoing) => {
        outgoing.writeHead(202, { ...gateway, 'content-length': '10' }).write('{');
        setImmediate(() => outgoing.destroy());
      });
      expect(await broken.forward(request())).toBeNull();
      const silent = await relayTo(() => {}, { timeout: 50 });
      expect(await silent.forward(request())).toBeNull();
    });

    test('says whether it forwards refused requests', async () => {
      for (const forwardsRefusedRequests of [true, false])
        expect(await relayTo(() => {}, { forwardsRefusedRequests })).toMatchObject({
          forwardsRefusedRequests,
        });
    });
  });
}
