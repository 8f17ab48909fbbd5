import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redisDedupeStore } from '../../src/adapters/redis/dedupe-store.ts';
import type { RedisServers } from '../../src/config/dedupe/types.ts';
import type { DedupeStore } from '../../src/ports/dedupe-store.ts';
import { answering, clusterServers } from '../adapters/redis/store.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { type Harness, startGateway } from './harness.ts';

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  retry: number;
  events: { index: number; verdict: string; changed?: boolean; errors?: { code: string }[] }[];
}

let gateway: Harness | null;
beforeEach(() => {
  gateway = null;
});
afterEach(() => gateway?.close());

/** A gateway whose ids are in Redis. */
async function start(servers: RedisServers, outage: 'accept' | 'refuse', count = 1): Promise<Harness> {
  const redis = redisDedupeStore({
    ...servers,
    ...{ prefix: 'o:', timeout: 500, window: 60_000, lease: 5_000 },
    onError: () => {},
  });
  gateway = await startGateway({
    yaml: 'sources: { s: { topic: t, id: [/id] } }',
    outage,
    wrapDedupe: (embedded): DedupeStore => ({
      ...redis,
      async close() {
        await redis.close();
        await embedded.close();
      },
    }),
  });
  await answering(redis, count);
  return gateway;
}

async function send(...events: object[]): Promise<Answer> {
  const response = await fetch(`${gateway!.url}/events/s`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  return { ...((await response.json()) as Answer), status: response.status };
}

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `${name}${i}` }));

/** Ids in the topic, and those of them that were stored unchecked. */
async function stored(): Promise<{ ids: unknown[]; unchecked: unknown[] }> {
  const records = await gateway!.read('t');
  const ids = (list: typeof records) => list.map(({ headers }) => String(headers.ce_id)).sort();
  return {
    ids: ids(records),
    unchecked: ids(records.filter(({ headers }) => headers.ce_dedupe !== undefined)),
  };
}

describe('while Redis is away', { timeout: 60_000 }, () => {
  let server: RedisServer;
  beforeEach(async () => {
    server = await startRedis();
  });
  afterEach(() => server.stop());

  /** Values of stored ids are numbers, those of claims are not. */
  async function confirmed(): Promise<number> {
    const client = new Redis(server.url);
    const keys = await client.keysBuffer('o:*');
    const values = keys.length === 0 ? [] : await client.mget(keys);
    client.disconnect();
    return values.filter((value) => !value!.includes(':')).length;
  }

  test.each(['stopped', 'frozen'])(
    '`accept` stores what is new unchecked, and still knows what it stored of late (Redis %s)',
    async (how) => {
      await start({ url: server.url }, 'accept');
      expect(await send({ id: 'before' })).toMatchObject({ status: 202, accepted: 1 });
      if (how === 'stopped') await server.stop();
      else server.kill('SIGSTOP');
      expect(await send({ id: 'before' }, { id: 'during' })).toMatchObject({
        status: 202,
        accepted: 1,
        duplicates: 1,
      });
      const again = await send({ id: 'during' }, { id: 'before', other: 1 });
      expect(again).toMatchObject({ status: 207, accepted: 0, duplicates: 2 });
      expect(gateway!.groups.at(-1)!.changed).toBe(1);
      expect(await stored()).toEqual({ ids: ['before', 'during'], unchecked: ['during'] });
      // Nobody sends anything: the ids are told to Redis all the same once it is back.
      if (how === 'stopped') server = await startRedis({ port: server.port });
      else server.kill('SIGCONT');
      await expect.poll(confirmed, { timeout: 20_000 }).toBeGreaterThanOrEqual(how === 'stopped' ? 1 : 2);
      expect(await send({ id: 'during' })).toMatchObject({ status: 202, duplicates: 1 });
    },
  );

  test('`refuse` says retry for what is new, and duplicate for what it stored of late', async () => {
    await start({ url: server.url }, 'refuse');
    await send({ id: 'before' });
    await server.stop();
    const answer = await send({ id: 'before' }, { id: 'during' });
    expect(answer).toMatchObject({ status: 503, accepted: 0, duplicates: 1, retry: 1 });
    expect(answer.events[1]!.errors![0]!.code).toBe('dedupe_unavailable');
    expect((await send({ id: 'before' })).status).toBe(202);
    expect((await stored()).ids).toEqual(['before']);
  });

  test('when Redis comes back empty, what it has not been told of yet is no new event', async () => {
    await start({ url: server.url }, 'accept');
    const many = numbered('m', 5_000);
    await server.stop();
    for (let i = 0; i < many.length; i += 50) {
      expect(await send(...many.slice(i, i + 50))).toMatchObject({ accepted: 50 });
    }
    server = await startRedis({ port: server.port });
    // The first to be answered by Redis are among the last that it is told of.
    for (const event of many.slice(-200).reverse()) {
      expect(await send(event)).toMatchObject({ status: 202, duplicates: 1 });
    }
    await expect.poll(confirmed, { timeout: 20_000 }).toBe(5_000);
    expect((await stored()).ids).toHaveLength(5_000);
    expect(await send(...many.slice(0, 1_000))).toMatchObject({ duplicates: 1_000 });
  });

  test('C35 Redis that is full is as good as away', async () => {
    await start({ url: server.url }, 'accept');
    await send({ id: 'before' });
    const client = new Redis(server.url);
    await client.config('SET', 'maxmemory', '1');
    expect(await send({ id: 'before' }, { id: 'during' })).toMatchObject({ accepted: 1, duplicates: 1 });
    await client.config('SET', 'maxmemory', '0');
    client.disconnect();
    await expect.poll(confirmed, { timeout: 20_000 }).toBe(2);
    expect((await stored()).unchecked).toEqual(['during']);
  });
});

test.each(['accept', 'refuse'] as const)(
  'C33 with one node of a cluster away only its ids go without (outage: %s)',
  async (outage) => {
    const cluster = await startRedisCluster();
    try {
      await start(clusterServers(cluster), outage, 1000);
      const before = numbered('b', 300);
      expect(await send(...before)).toMatchObject({ status: 202, accepted: 300 });
      cluster.servers[0]!.kill('SIGKILL');
      await cluster.servers[0]!.ended();
      const during = numbered('d', 300);
      const answer = await send(...before, ...during);
      expect(answer.duplicates).toBe(300);
      const { ids, unchecked } = await stored();
      const without = outage === 'accept' ? unchecked.length : answer.retry;
      expect(without).toBeGreaterThan(30);
      expect(without).toBeLessThan(200);
      expect([answer.accepted, answer.retry]).toEqual(
        outage === 'accept' ? [300, 0] : [300 - without, without],
      );
      expect(ids).toHaveLength(300 + answer.accepted);
      // The replica takes over, and nobody need do anything about it.
      await expect.poll(async () => (await send(...during)).retry, { timeout: 30_000 }).toBe(0);
      await expect
        .poll(async () => (await send(...numbered(crypto.randomUUID(), 300))).status, { timeout: 30_000 })
        .toBe(202);
      expect((await stored()).ids.filter((id) => /^[bd]\d+$/.test(String(id)))).toHaveLength(600);
    } finally {
      await cluster.stop();
    }
  },
  90_000,
);
