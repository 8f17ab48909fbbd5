import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { sqliteEventLog } from '../../src/adapters/sqlite/event-log.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { counterOf } from './counters.ts';
import { readTopic } from './kafka-reader.ts';
import { makeProject, type Postern, type Project, startPostern } from './postern.ts';
import { emittedLines, expectedLines, makeEvents, produce, produceEnd, seenOf } from './stream-events.ts';

const brokers = inject('kafkaBrokers');
const PARTITIONS = 3;
const projects: Project[] = [];
const running = new Set<Postern>();
const servers: RedisServer[] = [];

async function start(project: Project, role: string): Promise<Postern> {
  const postern = await startPostern(project, { command: ['serve', '--role', role], early: true });
  running.add(postern);
  void postern.exited.then(() => running.delete(postern));
  return postern;
}
async function makeStream(yaml: string): Promise<Project> {
  const project = await makeProject({ yaml });
  projects.push(project);
  return project;
}
afterAll(async () => {
  for (const postern of running) postern.kill('SIGKILL');
  for (const server of servers) await server.stop();
  for (const project of projects) await project.remove();
});

const states = (postern: Postern, name: string, state: string) =>
  counterOf(postern.admin, 'stream_state_total', `stream="${name}",state="${state}"`);
const countedBy = (postern: Postern, name: string) =>
  counterOf(postern.admin, 'stream_events_total', `stream="${name}"`);

describe('Redis is killed in mid run', { timeout: 180_000 }, () => {
  const EVENTS = 4_000;
  const events = makeEvents(EVENTS, 100);

  async function begin(args: string[]) {
    const redis = await startRedis({ args });
    servers.push(redis);
    const name = `redis-${crypto.randomUUID().slice(0, 8)}`;
    const project = await makeStream(`
log: { kafka: { brokers: ['${brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { redis: { url: '${redis.url}' } }
streams:
  ${name}:
    topics: [${name}.orders]
    window: { tumbling: 2m }
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    emit: { topic: ${name}.windows, type: spend }
`);
    const postern = await start(project, 'dispatcher');
    await expect.poll(async () => (await fetch(`${postern.admin}/readyz`)).status).toBe(200);
    await produce(brokers, `${name}.orders`, events.slice(0, EVENTS / 2));
    await expect.poll(() => countedBy(postern, name)).toBe(EVENTS / 2);
    return { redis, name, project, postern };
  }

  /** `before`: events that this process has counted so far. */
  const finish = async (name: string, postern: Postern, before: number) => {
    await produce(brokers, `${name}.orders`, events.slice(EVENTS / 2), EVENTS / 2);
    await produceEnd(brokers, `${name}.orders`, PARTITIONS);
    // Counted when all that it closed is stored.
    await expect
      .poll(() => countedBy(postern, name), { timeout: 60_000 })
      .toBe(before + EVENTS / 2 + PARTITIONS);
    const expected = expectedLines(seenOf(await readTopic(brokers, `${name}.orders`), 'key'), {
      tumbling: 120_000,
    });
    return { expected, found: emittedLines(await readTopic(brokers, `${name}.windows`)) };
  };

  test('and comes back with its data: the windows are exact', async () => {
    const { redis, name, postern } = await begin(['--appendonly', 'yes', '--appendfsync', 'always']);
    await redis.restart();
    const { expected, found } = await finish(name, postern, EVENTS / 2);
    expect(found).toEqual(expected);
    for (const state of ['lost', 'restored', 'replayed']) expect(await states(postern, name, state)).toBe(0);
  });

  test('and comes back empty: what is in memory is stored again, and said', async () => {
    const { redis, name, postern } = await begin([]);
    await redis.restart();
    const { expected, found } = await finish(name, postern, EVENTS / 2);
    expect(found).toEqual(expected);
    expect(await states(postern, name, 'restored')).toBe(PARTITIONS);
    expect(await states(postern, name, 'lost')).toBe(0);
    await expect.poll(() => postern.output()).toContain('"state":"restored"');
  });

  test('and comes back empty to a dispatcher that was killed too: the loss is counted and said', async () => {
    const { redis, name, project, postern } = await begin([]);
    postern.kill('SIGTERM');
    expect(await postern.exited).toBe(0);
    await redis.restart();
    const next = await start(project, 'dispatcher');
    await expect.poll(() => states(next, name, 'lost'), { timeout: 60_000 }).toBe(PARTITIONS);
    const { expected, found } = await finish(name, next, 0);
    // Windows that were open are told of with what came afterwards; all others are right.
    const wrong = found.filter((line) => !expected.includes(line));
    expect(wrong.length).toBeGreaterThan(0);
    expect(wrong.length).toBeLessThanOrEqual(400);
    await expect.poll(() => next.output()).toContain('state of a stream is lost');
  });
});

test('on SQLite each window is emitted exactly, over kills of the only process', {
  timeout: 240_000,
}, async () => {
  const EVENTS = 20_000;
  const path = await mkdtemp(join(tmpdir(), 'postern-streams-'));
  const kinds = {
    tumbling: ['{ tumbling: 1m }', '', { tumbling: 60_000 }],
    session: ['{ session: 40s }', '', { session: 40_000 }],
    keyed: ['{ sliding: 3m, every: 1m }', 'key: /user', { sliding: 180_000, every: 60_000 }],
  } as const;
  const project = await makeStream(`
log: { embedded: { path: '${path}' } }
dedupe: { embedded: { path: '${path}' } }
sources:
  orders: { protocol: events, topic: orders, id: [/id], type: order, time: /time, key: /key }
streams:${Object.entries(kinds)
    .map(
      ([name, [window, key]]) => `
  ${name}:
    topics: [orders]
    window: ${window}
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    emit: { topic: ${name}.windows, type: spend }
    ${key}`,
    )
    .join('')}
`);
  let postern = await start(project, 'gateway,dispatcher');
  const events = makeEvents(EVENTS, 500);
  const post = async (part: object[]): Promise<void> => {
    const body = JSON.stringify(part);
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${postern.url}/events/orders`, { method: 'POST', body, headers });
    expect(reply.status).toBe(202);
    await reply.arrayBuffer();
  };
  for (let at = 0; at < EVENTS; at += 1_000) {
    await post(
      events.slice(at, at + 1_000).map(({ time, ...rest }, i) => ({
        ...rest,
        id: at + i,
        time: new Date(time).toISOString(),
      })),
    );
    if (at % 5_000 !== 3_000) continue;
    postern.kill('SIGKILL');
    await postern.exited;
    postern = await start(project, 'gateway,dispatcher');
  }
  await post([{ id: 'end', key: 'end', user: 'end', total: 0, time: new Date().toISOString() }]);
  // Streams behind the by-key topic end by a mark that comes a second later.
  const emitted = (name: string) => counterOf(postern.admin, 'stream_watermark_seconds', `stream="${name}"`);
  for (const name of Object.keys(kinds)) {
    await expect.poll(() => emitted(name), { timeout: 60_000 }).toBeLessThan(600);
    await expect
      .poll(() => counterOf(postern.admin, 'stream_open_windows', `stream="${name}"`))
      .toBeLessThanOrEqual(1);
  }
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);

  const log = sqliteEventLog({
    path,
    retention: { age: 1e12, size: 2 ** 40 },
    onError(error) {
      throw error;
    },
  });
  const read = async (topic: string) => {
    const all: StoredRecord[] = [];
    await log.read(await log.ranges(topic), async (records) => all.push(...records) > 0);
    return all.map(({ key, value, headers }) => ({
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value!),
      headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, String(text)])),
    }));
  };
  const orders = await read('orders');
  expect(orders.length).toBe(EVENTS + 1);
  for (const [name, [, key, kind]] of Object.entries(kinds)) {
    const expected = expectedLines(seenOf(orders, key === '' ? 'key' : 'user'), kind);
    expect(emittedLines(await read(`${name}.windows`)), name).toEqual(expected);
    expect(await read(`${name}.late`)).toEqual([]);
  }
  await log.close();
  await rm(path, { recursive: true });
});
