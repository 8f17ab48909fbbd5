import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import kafkajs from 'kafkajs';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { redisDedupeStore } from '../../src/adapters/redis/dedupe-store.ts';
import { identityOf } from '../../src/dispatcher/identity.ts';
import { startRedis } from '../services/redis.ts';
import { kafkaClient, type ReadRecord, readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';

const brokers = inject('kafkaBrokers');
const PARTITIONS = 2;
const prefix = `remembered-${crypto.randomUUID().slice(0, 8)}`;
const running = new Set<Postern>();
const projects: Project[] = [];
const servers: Server[] = [];
afterAll(async () => {
  for (const postern of running) postern.kill('SIGKILL');
  for (const project of projects) await project.remove();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

async function start(project: Project, role = 'dispatcher'): Promise<Postern> {
  const postern = await startPostern(project, { command: ['serve', '--role', role] });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}

/** A function that takes some milliseconds; `calls` and `answered` are told by the event's id. */
async function startFunction(ms: number) {
  const calls = new Map<string, number>();
  const answered = new Set<string>();
  const server = createServer((request, response) => {
    const id = String(request.headers['ce-id']);
    calls.set(id, (calls.get(id) ?? 0) + 1);
    request.resume();
    response.on('finish', () => answered.add(id));
    setTimeout(() => response.writeHead(204).end(), ms);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { calls, answered, url: `http://127.0.0.1:${(server.address() as { port: number }).port}/` };
}

async function project(name: string, functionUrl: string, redisUrl: string): Promise<Project> {
  const topic = `${prefix}.${name}`;
  const made = await makeProject({
    yaml: `
log: { kafka: { brokers: ['${brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { redis: { url: '${redisUrl}', prefix: '${prefix}:' }, outage: accept }
sources:
  s: { protocol: events, topic: ${topic}, id: [/id], keys: ['a-key-that-is-long-enough'] }
subscriptions:
  ${name}:
    group: ${topic}
    topics: [${topic}]
    function: { http: { url: '${functionUrl}' } }
    concurrency: 8
    dedupe: 1h
`,
  });
  projects.push(made);
  return made;
}

/** Appends events as another program would. */
async function produce(topic: string, ids: string[]): Promise<void> {
  const producer = kafkaClient(brokers).producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const headers = {
    ce_specversion: '1.0',
    ce_source: '/test',
    ce_type: 't',
    'content-type': 'application/json',
  };
  const messages = ids.map((id) => ({
    key: id,
    value: `{"id":"${id}"}`,
    headers: { ...headers, ce_id: id },
  }));
  await producer.send({ topic, messages });
  await producer.disconnect();
}

async function counted(postern: Postern, result: string): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  return Number(
    new RegExp(`^postern_remembered_total\\{.*result="${result}".*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0,
  );
}

async function lag(postern: Postern): Promise<number> {
  const text = await (await fetch(`${postern.admin}/metrics`)).text();
  const values = [...text.matchAll(/^postern_lag_events\{.*\} (\d+)$/gm)].map((match) => Number(match[1]));
  // Of a partition that nothing was read of yet it is not known.
  return values.length < PARTITIONS ? Number.NaN : values.reduce((sum, value) => sum + value, 0);
}

/** The records whose deliveries Redis remembers now. */
async function remembered(records: ReadRecord[], group: string): Promise<Set<string>> {
  const failures: Error[] = [];
  const store = redisDedupeStore({
    url: inject('redisUrl'),
    prefix: `${prefix}:`,
    timeout: 5_000,
    window: 1_000,
    lease: 1_000,
    onError: (error) => failures.push(error),
  });
  const claims = records.map((record) => ({
    key: identityOf({ ...record, timestamp: record.time, headers: bytes(record.headers) }, group),
    checksum: 0,
  }));
  await expect
    .poll(() => store.claim([], 'nobody').then(() => store.claim(claims.slice(0, 1), 'probe')), {
      timeout: 10_000,
    })
    .toBeTruthy();
  await store.release(claims.slice(0, 1), 'probe');
  const outcomes = await store.claim(claims, 'probe');
  await store.release(claims, 'probe');
  await store.close();
  return new Set(records.filter((_, i) => outcomes[i] === 'duplicate').map(({ headers }) => headers.ce_id!));
}

const bytes = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]));

describe('dispatchers that die', () => {
  it('C51 an event whose delivery was remembered is never delivered again, however often the process is killed', async () => {
    const target = await startFunction(3);
    const topic = `${prefix}.killed`;
    const made = await project('killed', target.url, inject('redisUrl'));
    const ids = Array.from({ length: 3_000 }, (_, i) => `k-${i}`);
    let dispatcher = await start(made);
    await produce(topic, ids);
    const records = await readTopic(brokers, topic);
    expect(records).toHaveLength(ids.length);
    let notCalledAgain = 0;
    for (const share of [0.3, 0.6]) {
      await expect
        .poll(() => target.answered.size, { timeout: 60_000, interval: 5 })
        .toBeGreaterThan(ids.length * share);
      notCalledAgain += await counted(dispatcher, 'delivered_before');
      dispatcher.kill('SIGKILL');
      await dispatcher.exited;
      const known = await remembered(records, topic);
      const before = new Map(target.calls);
      expect(known.size).toBeGreaterThan(0);
      for (const id of known) expect([id, target.answered.has(id)]).toEqual([id, true]);
      // The window that stays: answered or begun, and not remembered any more.
      const open = [...before.keys()].filter((id) => !known.has(id));
      dispatcher = await start(made);
      await expect.poll(() => target.calls.size, { timeout: 60_000 }).toBeGreaterThan(before.size + 100);
      const again = [...before].filter(([id, count]) => target.calls.get(id)! > count).map(([id]) => id);
      expect(again.filter((id) => known.has(id))).toEqual([]);
      expect(open).toEqual(expect.arrayContaining(again));
      expect(open.length).toBeLessThan(200);
    }
    await expect.poll(() => target.answered.size, { timeout: 60_000 }).toBe(ids.length);
    notCalledAgain += await counted(dispatcher, 'delivered_before');
    // Deliveries whose offsets were not committed yet: these would have been second calls.
    expect(notCalledAgain).toBeGreaterThan(0);
    expect(await counted(dispatcher, 'unchecked')).toBe(0);
    dispatcher.kill('SIGTERM');
    expect(await dispatcher.exited).toBe(0);
  }, 240_000);
});

describe('the embedded store', () => {
  it('remembers deliveries beside the ids of the gateway, over a kill -9', async () => {
    const target = await startFunction(2);
    const made = await makeProject({
      yaml: `
log: { embedded: { path: '{folder}/data' } }
dedupe: { embedded: { path: '{folder}/data' } }
sources:
  s: { protocol: events, topic: t, id: [/id] }
subscriptions:
  mail: { topics: [t], function: { http: { url: '${target.url}' } }, concurrency: 4, dedupe: 1h }
`,
    });
    projects.push(made);
    const ids = Array.from({ length: 400 }, (_, i) => `d-${i}`);
    const send = async (postern: Postern) => {
      const reply = await fetch(`${postern.url}/events/s`, {
        method: 'POST',
        body: JSON.stringify(ids.map((id) => ({ id }))),
        headers: { 'content-type': 'application/json' },
      });
      return [reply.status, await reply.json()];
    };
    const first = await start(made, 'gateway,dispatcher');
    expect(await send(first)).toMatchObject([202, { accepted: 400 }]);
    await expect.poll(() => target.answered.size, { interval: 2 }).toBeGreaterThan(100);
    first.kill('SIGKILL');
    await first.exited;
    const second = await start(made, 'gateway,dispatcher');
    expect(await send(second)).toMatchObject([202, { duplicates: 400 }]);
    await expect.poll(() => target.answered.size, { timeout: 30_000 }).toBe(400);
    // Those that were with the function, or just back from it.
    expect([...target.calls.values()].filter((count) => count > 1).length).toBeLessThan(20);
    expect(await counted(second, 'unchecked')).toBe(0);
    second.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  }, 60_000);
});

describe('a Redis that hangs or is down', () => {
  it('holds no delivery up, and remembers again when it is back', async () => {
    const redis = await startRedis();
    const target = await startFunction(1);
    const topic = `${prefix}.stalled`;
    const made = await project('stalled', target.url, redis.url);
    const dispatcher = await start(made);
    const deliver = async (name: string) => {
      const ids = Array.from({ length: 500 }, (_, i) => `${name}-${i}`);
      await produce(topic, ids);
      await expect.poll(() => ids.every((id) => target.answered.has(id)), { timeout: 30_000 }).toBe(true);
      await expect.poll(() => lag(dispatcher), { timeout: 30_000 }).toBe(0);
      return ids;
    };
    await deliver('fine');
    expect(await counted(dispatcher, 'unchecked')).toBe(0);
    redis.kill('SIGSTOP');
    await deliver('stalled');
    expect(await counted(dispatcher, 'unchecked')).toBeGreaterThan(0);
    redis.kill('SIGCONT');
    redis.kill('SIGKILL');
    await redis.ended();
    await deliver('down');
    await redis.restart();
    await expect
      .poll(
        async () => {
          const before = await counted(dispatcher, 'unchecked');
          await deliver(`back-${before}`);
          return (await counted(dispatcher, 'unchecked')) - before;
        },
        { timeout: 60_000 },
      )
      .toBe(0);
    expect([...target.calls.values()].every((count) => count === 1)).toBe(true);
    dispatcher.kill('SIGTERM');
    expect(await dispatcher.exited).toBe(0);
    await redis.stop();
  }, 120_000);
});
