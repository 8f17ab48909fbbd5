import { Redis } from 'ioredis';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const prefix = `access-${crypto.randomUUID().slice(0, 8)}`;
const GATEWAY = { command: ['serve', '--role', 'gateway'] };

const post = (postern: Postern, path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(postern.url + path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });

async function stop(postern: Postern): Promise<void> {
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
}

describe('secrets', () => {
  const secret = (name: string) => `${name}-${crypto.randomUUID()}`;
  const right = secret('right');
  const second = secret('second');
  const wrong = secret('wrong');
  const password = secret('password');
  const eventId = secret('event');
  let redis: RedisServer;
  let project: Project;
  let postern: Postern;
  let token: string;
  let forged: string;

  beforeAll(async () => {
    redis = await startRedis();
    const client = new Redis(redis.url);
    await client.config('SET', 'requirepass', password);
    client.disconnect();
    const pair = await generateKeyPair('ES256', { extractable: true });
    const jwks = JSON.stringify({ keys: [await exportJWK(pair.publicKey)] });
    const sign = (key: Parameters<SignJWT['sign']>[0]) =>
      new SignJWT({ sub: 'device-7', secretclaim: eventId })
        .setProtectedHeader({ alg: 'ES256' })
        .setExpirationTime('5m')
        .sign(key);
    token = await sign(pair.privateKey);
    forged = await sign((await generateKeyPair('ES256')).privateKey);
    project = await makeProject({
      yaml: `
logLevel: trace
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis.url.replace('//', `//:${password}@`)}', prefix: '${prefix}:' } }
sources:
  locked:
    protocol: events
    topic: ${prefix}.locked
    id: [/id]
    keys: [{ id: partner-one, key: ${right} }, ${second}]
    rate: { events: 1000 }
  tokens: { protocol: events, topic: ${prefix}.tokens, id: [/id], jwt: { jwks: '${jwks}' } }
`,
    });
    postern = await startPostern(project, GATEWAY);
  });
  afterAll(async () => {
    await redis.stop();
    await project.remove();
  });

  it('are in no log line, right or wrong, at any level; the names of keys are', async () => {
    const ways = (key: string): [string, Record<string, string>][] => [
      ['', { authorization: `Bearer ${key}` }],
      ['', { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` }],
      ['', { 'x-api-key': key }],
      [`?key=${key}`, {}],
      [`?access_token=${key}&id=${eventId}`, {}],
    ];
    const bodies = [`{"id":"${eventId}"}`, `{"id":"${eventId}`, `{"secret":"${eventId}"}`, ''];
    const statuses = new Set<number>();
    for (const [source, keys] of [
      ['locked', [right, second, wrong]],
      ['tokens', [token, forged]],
    ] as const) {
      for (const key of keys) {
        for (const [query, headers] of ways(key)) {
          for (const body of bodies) {
            statuses.add((await post(postern, `/events/${source}${query}`, body, headers)).status);
          }
          statuses.add((await post(postern, `/${source}${query}`, '{}', headers)).status);
          statuses.add((await post(postern, `/events/x${query}`, '{}', headers)).status);
        }
      }
    }
    expect([...statuses].sort()).toEqual([202, 400, 401, 404, 422]);
    // Of lines that are alike only some are written each second.
    for (const [key, source, who] of [
      [right, 'locked', 'partner-one'],
      [second, 'locked', 'key-2'],
      [token, 'tokens', 'device-7'],
    ] as const) {
      const named = async () => {
        await post(postern, `/events/${source}`, '{', { authorization: `Bearer ${key}` });
        return postern.output();
      };
      await expect.poll(named, { timeout: 20_000, interval: 200 }).toContain(`"who":"${who}"`);
    }
    // Both stores lose the server: what they say of it is in the log too.
    await redis.stop();
    await post(postern, `/events/locked?key=${right}&id=${eventId}`, `{"id":"${eventId}-2"}`);
    await expect.poll(() => postern.output()).toMatch(/rate store/);
    await stop(postern);
    const output = postern.output();
    const hidden = { right, second, wrong, password, eventId, token, forged };
    for (const [name, text] of Object.entries(hidden)) {
      expect([name, output.includes(text)]).toEqual([name, false]);
      const encoded = Buffer.from(`${text}:`).toString('base64').slice(0, 20);
      expect([name, output.includes(encoded)]).toEqual([name, false]);
    }
  });

  it('of a server are not told when it refuses them', async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    await client.config('SET', 'requirepass', 'another');
    client.disconnect();
    const other = await makeProject({
      yaml: `
logLevel: trace
log: { embedded: { path: '{folder}' } }
dedupe: { redis: { url: '${server.url.replace('//', `//user:${password}@`)}' } }
sources:
  s: { protocol: events, topic: s, id: [/id], rate: { events: 10 } }
`,
    });
    const gateway = await startPostern(other, GATEWAY);
    expect((await post(gateway, '/events/s', '{"id":"1"}')).status).toBe(202);
    await expect
      .poll(() => gateway.output(), { timeout: 20_000 })
      .toMatch(/WRONGPASS[\s\S]*rate store|rate store[\s\S]*WRONGPASS/);
    await stop(gateway);
    expect(gateway.output()).not.toContain(password);
    await server.stop();
    await other.remove();
  });
});

describe('two gateways', () => {
  const RATE = 200;
  /** Events in one request: also a slow machine sends more than the rate. */
  const BATCH = 20;
  let redis: RedisServer;
  let projects: Project[];
  let gateways: Postern[];
  beforeAll(async () => {
    redis = await startRedis();
    const yaml = `
log: { kafka: { brokers: ['${brokers}'], create: {} } }
dedupe: { redis: { url: '${redis.url}', prefix: '${prefix}:' } }
sources:
  shared: { protocol: events, topic: ${prefix}.shared, id: [/id], rate: { events: ${RATE} } }
`;
    projects = [await makeProject({ yaml }), await makeProject({ yaml })];
    gateways = await Promise.all(projects.map((project) => startPostern(project, GATEWAY)));
  });
  afterAll(async () => {
    for (const gateway of gateways) await stop(gateway);
    for (const project of projects) await project.remove();
    await redis.stop();
  });

  /** Sends events to both for some seconds; resolves with how many came in. */
  async function drive(
    name: string,
    seconds: number,
  ): Promise<{ accepted: number; refused: number; took: number }> {
    const started = performance.now();
    let [accepted, refused, n] = [0, 0, 0];
    const client = async (gateway: Postern) => {
      while (performance.now() - started < seconds * 1000) {
        const events = Array.from({ length: BATCH }, () => ({ id: `${name}-${n++}` }));
        const reply = await post(gateway, '/events/shared', JSON.stringify(events));
        if (reply.status === 202) accepted += BATCH;
        else {
          expect([reply.status, Number(reply.headers.get('retry-after'))]).toEqual([429, 1]);
          refused++;
        }
        await reply.arrayBuffer();
      }
    };
    await Promise.all(gateways.flatMap((gateway) => Array.from({ length: 4 }, () => client(gateway))));
    return { accepted, refused, took: (performance.now() - started) / 1000 };
  }

  it('take together what a source may have, and each by itself as much when Redis is gone', async () => {
    const shared = await drive('shared', 4);
    // A burst, and a tenth of a second and one request ahead for each.
    expect(shared.accepted).toBeLessThanOrEqual(RATE * (shared.took + 1 + 0.2) + 2 * BATCH);
    expect(shared.accepted).toBeGreaterThan(RATE);
    expect(shared.refused).toBeGreaterThan(0);
    await redis.stop();
    const alone = await drive('alone', 3);
    expect(alone.accepted).toBeLessThanOrEqual(2 * (RATE * (alone.took + 1) + BATCH));
    expect(alone.accepted).toBeGreaterThan(RATE);
    expect(alone.refused).toBeGreaterThan(0);
    expect(await readTopic(brokers, `${prefix}.shared`)).toHaveLength(shared.accepted + alone.accepted);
  });
});
