import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { redisDedupeStore } from '../../../src/adapters/redis/dedupe-store.ts';
import { redisRateStore } from '../../../src/adapters/redis/rate-store.ts';
import { makePlaces, placeOf, slotOf } from '../../../src/adapters/redis/slots.ts';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../../src/ports/dedupe-store.ts';
import { dedupeStoreContract } from '../../contracts/dedupe-store.ts';
import { rateStoreContract } from '../../contracts/rate-store.ts';
import { type RedisCluster, startRedisCluster } from '../../services/redis-cluster.ts';
import { answering, clusterServers, ids, namesOf } from './store.ts';

/** Ids enough to be in every place. */
const MANY = 1000;

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 60_000);
afterAll(() => cluster.stop());

function openStore(options: { prefix?: string; timeout?: number; window?: number; lease?: number } = {}) {
  return redisDedupeStore({
    ...clusterServers(cluster),
    prefix: 't:',
    timeout: 5_000,
    window: 60_000,
    lease: 30_000,
    onError: () => {},
    ...options,
  });
}

dedupeStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return {
    open: async (times) => {
      const store = openStore({ prefix, ...times });
      await answering(store, MANY);
      return store;
    },
    destroy: async () => {},
  };
});

rateStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return {
    open: async () => {
      const store = redisRateStore({
        ...clusterServers(cluster),
        ...{ prefix, timeout: 5_000 },
        onError: () => {},
      });
      const asks = ids(MANY).map(({ key }) => ({ key, rate: 1, owed: 0, want: 0 }));
      await vi.waitFor(() => store.take(asks), { timeout: 10_000, interval: 1 });
      return store;
    },
    destroy: async () => {},
  };
});

test('slots are those of the server, and places are spread evenly', async () => {
  const { port } = cluster.nodes[0]!;
  for (const key of [
    '123456789',
    'a{b}c',
    '{}x',
    'x{',
    '{{a}}',
    'ü{é}',
    ...makePlaces('p:').map((one) => one.prefix),
  ]) {
    expect([key, slotOf(key)]).toEqual([key, Number(await cluster.cli(port, 'cluster', 'keyslot', key))]);
  }
  for (const prefix of ['postern:', 'a{', '']) {
    const places = makePlaces(prefix);
    expect(places.map(({ slot }) => Math.floor(slot / 256))).toEqual(places.map((_, i) => i));
  }
  expect(makePlaces('{all}:')).toEqual([{ prefix: '{all}:', slot: slotOf('all') }]);
  const counts = new Array<number>(64).fill(0);
  const places = makePlaces('postern:');
  for (const { key } of ids(64_000)) counts[placeOf(key, places)]!++;
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1200);
});

test('a prefix with a name in braces keeps all ids in one slot', async () => {
  const store = openStore({ prefix: `{${randomUUID()}}:` });
  await answering(store);
  const claims = ids(50);
  expect(await store.claim(claims, 'a')).toEqual(claims.map(() => 'claimed'));
  expect(await store.claim(claims, 'b')).toEqual(claims.map(() => 'pending'));
  await store.close();
});

describe('faults', { timeout: 60_000 }, () => {
  let store: DedupeStore;
  beforeEach(async () => {
    store = openStore({ prefix: `${randomUUID()}:`, timeout: 1_000 });
    await answering(store, MANY);
  });
  afterEach(() => store.close());

  /** The server that has a slot, and the node ids of all. */
  async function layout() {
    const lines = (await cluster.cli(cluster.nodes[0]!.port, 'cluster', 'nodes')).trim().split('\n');
    const nodes = lines.map((line) => {
      const [id, address, flags, , , , , , ...slots] = line.split(' ') as [
        string,
        string,
        string,
        ...string[],
      ];
      const port = Number(/:(\d+)@/.exec(address)![1]);
      return { id, port, primary: flags.includes('master') && !flags.includes('fail'), slots };
    });
    const ownerOf = (slot: number) =>
      nodes.find(
        ({ primary, slots }) =>
          primary &&
          slots.some((range) => {
            const [from, to = from] = range.split('-').map(Number) as [number, number?];
            return from <= slot && slot <= to;
          }),
      )!;
    return { nodes, primaries: nodes.filter((node) => node.primary), ownerOf };
  }
  const serverAt = (port: number) => cluster.servers.find((server) => server.port === port)!;

  /** Claims, and says what became of each id: null when it is not known. */
  async function outcomesOf(claims: ReturnType<typeof ids>, owner: string) {
    try {
      return (await store.claim(claims, owner)) as (ClaimOutcome | null)[];
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      return (error as StoreUnavailable).outcomes ?? claims.map(() => null);
    }
  }

  test('C33 ids follow a slot that moves to another node while they are claimed', async () => {
    const prefix = `{${randomUUID()}}:`;
    const moving = openStore({ prefix });
    await answering(moving);
    const slot = slotOf(prefix);
    const { primaries, ownerOf } = await layout();
    const from = ownerOf(slot);
    const to = primaries.find((node) => node.id !== from.id)!;
    const before = ids(20);
    await moving.claim(before, 'a');
    await moving.confirm(before, 'a');
    await cluster.cli(to.port, 'cluster', 'setslot', `${slot}`, 'importing', from.id);
    await cluster.cli(from.port, 'cluster', 'setslot', `${slot}`, 'migrating', to.id);
    // Half of the keys have gone, new ones belong to the new node: the old one sends calls on, one by one.
    const old = new Redis(from.port);
    const migrate = (claims: readonly Claim[]) =>
      old.migrate('127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...namesOf(prefix, claims));
    await migrate(before.slice(0, 10));
    const during = ids(20);
    const mixed = before.flatMap((one, i) => [one, during[i]!]);
    expect(await moving.claim(mixed, 'b')).toEqual(before.flatMap(() => ['duplicate', 'claimed']));
    await moving.confirm(during, 'b');
    expect(await moving.claim(mixed, 'c')).toEqual(mixed.map(() => 'duplicate'));
    await migrate(before.slice(10));
    old.disconnect();
    for (const { port } of [to, from])
      await cluster.cli(port, 'cluster', 'setslot', `${slot}`, 'node', to.id);
    const after = ids(1);
    expect(await moving.claim([...mixed, ...after], 'd')).toEqual([
      ...mixed.map(() => 'duplicate'),
      'claimed',
    ]);
    await moving.close();
  });

  test('goes on after the scripts were flushed on every node, in order', async () => {
    for (const { port } of cluster.nodes) await cluster.cli(port, 'script', 'flush');
    const claims = ids(MANY);
    const [, outcomes] = await Promise.all([store.confirm(claims, 'a'), store.claim(claims, 'b')]);
    expect(outcomes).toEqual(claims.map(() => 'duplicate'));
  });

  test('C33 comes back by itself when the nodes are restarted one by one', async () => {
    for (const server of cluster.servers) {
      await server.restart();
      await outcomesOf(ids(MANY), 'a');
    }
    await answering(store, MANY);
    await cluster.whole();
    expect(await store.claim(ids(10), 'a')).toEqual(new Array(10).fill('claimed'));
  });

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'C32 C33 a primary that goes away (%s) takes only its own ids with it, until its replica takes over',
    async (signal) => {
      const { primaries } = await layout();
      const lost = serverAt(primaries[1]!.port);
      const stored = ids(MANY);
      await store.claim(stored, 'a');
      await store.confirm(stored, 'a');
      // Replication is asynchronous: what is not there yet is lost in the failover.
      for (const { port } of primaries) await cluster.cli(port, 'wait', '1', '5000');
      lost.kill(signal);
      let outcomes = await outcomesOf(ids(MANY), 'b');
      const unknown = outcomes.filter((outcome) => outcome === null).length;
      expect(unknown).toBeGreaterThan(MANY / 5);
      expect(unknown).toBeLessThan(MANY / 2);
      expect(outcomes.filter((outcome) => outcome === 'claimed')).toHaveLength(MANY - unknown);
      // From now on nothing waits for the node that is gone.
      await expect(store.confirm(ids(MANY), 'b')).rejects.toThrow(/no answer|lost|ECONN/);
      await answering(store, MANY);
      outcomes = await outcomesOf(stored, 'c');
      expect(outcomes).toEqual(stored.map(() => 'duplicate'));
      if (signal === 'SIGKILL') await lost.restart();
      else lost.kill('SIGCONT');
      // It comes back as a replica of the one that took over, which may be the next to go.
      await expect
        .poll(() => cluster.cli(lost.port, 'info', 'replication'), { timeout: 30_000 })
        .toMatch(/role:slave/);
      await cluster.whole();
      expect(await outcomesOf(stored, 'd')).toEqual(stored.map(() => 'duplicate'));
    },
  );
});
