import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { readTopic } from '../e2e/kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import { issuer, JWKS, SCHEMAS, sourcesFor, stranger, tokenOf } from './exchanges.ts';
import { type Bundle, buildBundle, startWorker, type Worker } from './worker.ts';

const brokers = inject('kafkaBrokers');
const redis = inject('redisUrl');
/** In work at once. */
const REQUESTS = 16;
/** Of them, those that one source may have. */
const OF_SOURCE = 12;
const prefix = `edge-${crypto.randomUUID().slice(0, 8)}`;

let project: Project;
let bundle: Bundle;
let origin: Postern;
let issuers: Server;
const workers: Worker[] = [];
beforeAll(async () => {
  issuers = await serve(() => [200, { 'content-type': 'application/json' }, JWKS]);
  project = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: 1, replication: 1 } }, timeout: 3s }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}:' } }
${sourcesFor(prefix)
  .replace('depth: 12,', `depth: 12, requests: ${REQUESTS},`)
  .replace(
    '  segment:',
    `  slow: { topic: ${prefix}.slow, id: [/id], rate: { events: 1 } }\n  issued: { topic: ${prefix}.slow, id: [/id], jwt: { jwks: '${urlOf(issuers)}' } }\n  segment:`,
  )}  clientAddress: full
  proxies: [127.0.0.0/8]
`,
    schemas: SCHEMAS,
  });
  [origin, bundle] = await Promise.all([startPostern(project), buildBundle(project)]);
}, 120_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  issuers?.closeAllConnections();
  issuers?.close();
  origin?.kill('SIGKILL');
  await origin?.exited;
  await project?.remove();
});

async function worker(env: Record<string, string>): Promise<Worker> {
  const started = await startWorker(bundle, env);
  workers.push(started);
  return started;
}

interface Told {
  status: number;
  retryAfter: string | null;
  accepted?: number;
  retry?: number;
  events?: { id: string; verdict: string }[];
  type?: string;
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Told> {
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  const retryAfter = response.headers.get('retry-after');
  return { ...((await response.json()) as object), status: response.status, retryAfter };
}

/** A server that says the same to all. */
async function serve(reply: () => [number, Record<string, string>, string]): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume().on('end', () => {
      const [status, headers, body] = reply();
      outgoing.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('when the origin gives no verdict', () => {
  it('says retry for each event while nobody listens there, and takes them when somebody does', async () => {
    const edge = await worker({ EDGE_ORIGIN: 'http://127.0.0.1:1' });
    const told = await post(`${edge.url}/events/s`, [{ id: 'down-1' }, { id: 'down-2' }]);
    expect(told).toMatchObject({
      status: 503,
      retryAfter: '2',
      accepted: 0,
      retry: 2,
      events: [
        { id: 'down-1', verdict: 'retry' },
        { id: 'down-2', verdict: 'retry' },
      ],
    });
    expect((await fetch(`${edge.url}/pixels/s?id=down-3`)).status).toBe(503);
    const segment = await post(`${edge.url}/v1/track`, { writeKey: 'seg-key', event: 'E', userId: 'u' });
    expect(segment).toMatchObject({ status: 503, retryAfter: '2', retry: 1 });
    expect(edge.output()).toContain('origin: ');
    // What nobody would take needs no origin.
    expect(await post(`${edge.url}/events/typed`, { id: 'x' })).toMatchObject({ status: 422 });
    const there = await worker({ EDGE_ORIGIN: origin.url });
    expect(await post(`${there.url}/events/s`, [{ id: 'down-1' }, { id: 'down-2' }])).toMatchObject({
      status: 202,
      accepted: 2,
    });
  });

  it('believes no server that is not Postern', async () => {
    const success = '{"accepted":1,"duplicates":0,"rejected":0,"retry":0,"events":[]}';
    let answer: [number, Record<string, string>, string] = [
      202,
      { 'content-type': 'application/json' },
      success,
    ];
    const server = await serve(() => answer);
    const edge = await worker({ EDGE_ORIGIN: urlOf(server) });
    for (const status of [200, 202, 302, 404, 500]) {
      answer = [status, status === 302 ? { location: origin.url } : {}, success];
      expect(await post(`${edge.url}/events/s`, { id: 'impostor' })).toMatchObject({ status: 503, retry: 1 });
    }
    expect(edge.output()).toContain('status 202 from a server that is not Postern');
    server.closeAllConnections();
    server.close();
  });

  it('says retry when the origin does not answer in time', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const edge = await worker({ EDGE_ORIGIN: urlOf(server) });
    expect(await post(`${edge.url}/events/s`, { id: 'late' })).toMatchObject({ status: 503, retry: 1 });
    server.closeAllConnections();
    server.close();
  });

  it('passes on the verdicts of an origin that cannot store', async () => {
    const dead = await makeProject({
      yaml: `
log: { kafka: { brokers: ['127.0.0.1:1'] }, timeout: 1s }
dedupe: { redis: { url: '${redis}', prefix: '${prefix}-dead:' } }
${sourcesFor(prefix)}`,
      schemas: SCHEMAS,
    });
    const broken = await startPostern(dead, { early: true });
    const edge = await worker({ EDGE_ORIGIN: broken.url });
    const told = await post(`${edge.url}/events/s`, { id: 'unstored' });
    expect(told).toMatchObject({ status: 503, retryAfter: '2', retry: 1, accepted: 0 });
    expect(edge.output()).not.toContain('origin: ');
    broken.kill('SIGKILL');
    await broken.exited;
    await dead.remove();
  });
});

describe('between client and origin', () => {
  it('answers a request whose events are all refused, or forwards it to be kept', async () => {
    const [refusing, keeping] = [
      await worker({ EDGE_ORIGIN: origin.url }),
      await worker({ EDGE_ORIGIN: origin.url, EDGE_REJECTED: 'keep' }),
    ];
    expect((await post(`${refusing.url}/events/typed`, { id: 'gone' })).status).toBe(422);
    expect((await post(`${keeping.url}/events/typed`, { id: 'kept' })).status).toBe(422);
    const kept = (await readTopic(brokers, `${prefix}.typed.rejected`)).map(({ value }) => value!.toString());
    expect(kept).toEqual(['{"id":"kept"}']);
  });

  it('names the client by the header of the runtime, and believes nobody else', async () => {
    const [told, untold] = [
      await worker({ EDGE_ORIGIN: origin.url, EDGE_ADDRESS_HEADER: 'CF-Connecting-IP' }),
      await worker({ EDGE_ORIGIN: origin.url }),
    ];
    const claims = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' };
    await post(
      `${told.url}/events/plain`,
      {},
      { ...claims, 'idempotency-key': 'a', 'cf-connecting-ip': '198.51.100.7' },
    );
    await post(`${untold.url}/events/plain`, {}, { ...claims, 'idempotency-key': 'b' });
    const records = await readTopic(brokers, `${prefix}.plain`);
    const addresses = records.map(({ headers }) => [headers.ce_id, headers.ce_clientip]);
    expect(addresses).toEqual([
      ['a', '198.51.100.7'],
      ['b', '127.0.0.1'],
    ]);
  });

  it("passes on what the origin says of a source's rate", async () => {
    const edge = await worker({ EDGE_ORIGIN: origin.url });
    const send = (n: number) =>
      fetch(`${edge.url}/events/slow`, {
        method: 'POST',
        body: `{"id":"slow-${n}"}`,
        headers: { 'content-type': 'application/json' },
      });
    const replies = await Promise.all(Array.from({ length: 8 }, (_, n) => send(n)));
    const refused = replies.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    for (const { headers } of refused) {
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(headers.get('ratelimit')).not.toBe(null);
    }
  });

  it('says which codings it can undo', async () => {
    const edge = await worker({ EDGE_ORIGIN: origin.url });
    const response = await fetch(`${edge.url}/events/s`, {
      method: 'POST',
      body: new Uint8Array(brotliCompressSync('{"id":"br"}')),
      headers: { 'content-type': 'application/json', 'content-encoding': 'br' },
    });
    expect([response.status, response.headers.get('accept-encoding')]).toEqual([415, 'gzip, deflate']);
    const { info } = (await (await fetch(`${edge.url}/openapi.json`)).json()) as {
      info: { description: string };
    };
    expect(info.description).toContain('(Content-Encoding: gzip, deflate)');
  });

  it('fetches the keys of token issuers', async () => {
    const edge = await worker({ EDGE_ORIGIN: origin.url });
    const send = (id: string, token: string) =>
      post(`${edge.url}/events/issued`, { id }, { authorization: `Bearer ${token}` });
    const told = await Promise.all(['i-1', 'i-2', 'i-3'].map((id) => send(id, tokenOf(issuer))));
    expect(told.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect((await send('i-4', tokenOf(stranger))).status).toBe(401);
  });

  it('takes its secrets from bindings, and runs without none that is missing', async () => {
    const edge = await worker({ EDGE_ORIGIN: origin.url, RUNTIME_KEY: 'another-key' });
    const locked = (key: string) =>
      post(`${edge.url}/events/locked`, { id: 'bound' }, { authorization: `Bearer ${key}` });
    // The origin has the key of the config's default: its word counts in the end.
    expect((await locked('right-key')).status).toBe(401);
    expect((await locked('another-key')).status).toBe(401);
    const without = await worker({});
    const told = await post(`${without.url}/events/s`, { id: 'unset' });
    expect([told.status, told.type]).toEqual([500, 'urn:postern:problem:internal']);
    expect(without.output()).toContain('EDGE_ORIGIN names no gateway that stores');
  });

  it('gives back the room of clients that leave while the origin has their events', async () => {
    const held: ServerResponse[] = [];
    let came = () => {};
    const server = createServer((incoming, outgoing) => {
      incoming.resume().on('end', () => {
        held.push(outgoing);
        came();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const edge = await worker({ EDGE_ORIGIN: urlOf(server) });
    for (let i = 0; i < OF_SOURCE; i++) {
      const leaving = new AbortController();
      const arrived = new Promise<void>((resolve) => {
        came = resolve;
      });
      const left = fetch(`${edge.url}/pixels/s?id=leaver-${i}`, { signal: leaving.signal });
      // An answer to the client would come in its place.
      expect(await Promise.race([arrived, left.then(({ status }) => status, String)])).toBe(undefined);
      leaving.abort();
      await expect(left).rejects.toThrow();
    }
    const answered = held.map((outgoing) => once(outgoing.end(), 'close'));
    came = () => held.at(-1)!.end();
    await Promise.all(answered);
    // The edge may not have got the replies yet. When it has, there is room, and this origin is not Postern.
    await vi.waitFor(
      async () =>
        expect(await post(`${edge.url}/events/s`, { id: 'after-leavers' })).toMatchObject({
          status: 503,
          type: 'urn:postern:problem:log_unavailable',
        }),
      { timeout: 10_000 },
    );
    server.closeAllConnections();
    server.close();
  });
});

describe('an origin that is killed', () => {
  it('leaves no acknowledged event missing, and the rest is taken when it is back', {
    timeout: 120_000,
  }, async () => {
    const edge = await worker({ EDGE_ORIGIN: origin.url });
    const ids = Array.from({ length: 400 }, (_, i) => `killed-${i}`);
    const acknowledged: string[] = [];
    const left = [...ids];
    const statuses = new Set<number>();
    let round = 0;
    async function sender(): Promise<void> {
      for (let id = left.shift(); id !== undefined; id = left.shift()) {
        const { status } = await post(`${edge.url}/events/s`, { id });
        statuses.add(status);
        if (status === 202) acknowledged.push(id);
        else left.push(id);
        if (acknowledged.length > 100 && round++ === 0) {
          origin.kill('SIGKILL');
          await origin.exited;
          expect((await post(`${edge.url}/events/s`, { id: 'while-down' })).status).toBe(503);
          origin = await startPostern(project);
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, sender));
    expect([...statuses].sort()).toEqual([202, 503]);
    const stored = (await readTopic(brokers, `${prefix}.s`)).map(({ headers }) => headers.ce_id);
    const missing = acknowledged.filter((id) => !stored.includes(id));
    expect(missing).toEqual([]);
    expect(acknowledged.sort()).toEqual(ids.sort());
  });
});
