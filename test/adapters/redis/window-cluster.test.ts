import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { slotOf } from '../../../src/adapters/redis/slots.ts';
import { redisWindowStore } from '../../../src/adapters/redis/window-store.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { StreamPart, WindowChange, WindowStore } from '../../../src/ports/window-store.ts';
import { windowStoreContract } from '../../contracts/window-store.ts';
import { type RedisCluster, startRedisCluster } from '../../services/redis-cluster.ts';
import { clusterServers } from './store.ts';

/** Parts enough to be on every node. */
const PARTS = Array.from(
  { length: 60 },
  (_, i): StreamPart => ({ stream: 'spend', partition: `orders/${i}` }),
);

let cluster: RedisCluster;
const stores: WindowStore[] = [];
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 120_000);
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});
afterAll(() => cluster.stop());

/** A store that has got an answer of every node. */
async function openStore(prefix = `${randomUUID()}:`): Promise<WindowStore> {
  const servers = clusterServers(cluster);
  const store = redisWindowStore({ ...servers, prefix, timeout: 1_000, onError: () => {} });
  for (const part of PARTS) await answered(() => store.load(part));
  return store;
}

/** Asks again while the store is unavailable, as streams do; the test's own time limit ends it. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      await turn();
    }
  }
}

/** The next state of a part: all its entries are of this round. */
const changeTo = (round: number, part: StreamPart): StreamPart & WindowChange => ({
  ...part,
  expected: round === 1 ? null : `m${round - 1}`,
  mark: `m${round}`,
  entries: new Map(Array.from({ length: 50 }, (_, i) => [`window ${i}`, `${round}`])),
  life: 600_000,
});

async function expectRound(store: WindowStore, round: number): Promise<void> {
  for (const part of PARTS) {
    const { mark, entries } = await store.load(part);
    expect([part.partition, mark, entries.size]).toEqual([part.partition, `m${round}`, 50]);
    expect(new Set(entries.values())).toEqual(new Set([`${round}`]));
  }
}

async function primaries(): Promise<{ id: string; port: number }[]> {
  const lines = (await cluster.cli(cluster.nodes[0]!.port, 'cluster', 'nodes')).trim().split('\n');
  return lines
    .map((line) => line.split(' ') as [string, string, string, ...string[]])
    .filter(([, , flags]) => flags.includes('master') && !flags.includes('fail'))
    .map(([id, address]) => ({ id, port: Number(/:(\d+)@/.exec(address)![1]) }));
}

windowStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return { open: () => openStore(prefix), destroy: async () => {} };
});

test('a primary that is killed takes no state with it, and no change is made twice or by half', async () => {
  const store = await openStore();
  stores.push(store);
  expect(await store.change(PARTS.map((part) => changeTo(1, part)))).toEqual(PARTS.map(() => true));
  const all = await primaries();
  // Replication is asynchronous: what is not there yet is lost in the failover.
  for (const { port } of all) await cluster.cli(port, 'wait', '1', '5000');
  const lost = cluster.servers.find(({ port }) => port === all[1]!.port)!;
  lost.kill('SIGKILL');
  const changes = PARTS.map((part) => changeTo(2, part));
  await expect(store.change(changes)).rejects.toBeInstanceOf(StoreUnavailable);
  // Made on the other nodes already: asking again says so.
  expect(await answered(() => store.change(changes))).toEqual(PARTS.map(() => true));
  await expectRound(store, 2);
  // Whoever knows an older mark is not the writer.
  expect(await store.change([{ ...changeTo(2, PARTS[0]!), mark: 'other' }])).toEqual([false]);
  await lost.restart();
  await cluster.whole();
  await answered(() => store.change(PARTS.map((part) => changeTo(3, part))));
  await expectRound(store, 3);
}, 120_000);

test('state follows a slot that moves to another node while it is changed', async () => {
  const prefix = `{${randomUUID()}}:`;
  const slot = slotOf(prefix);
  const store = await openStore(prefix);
  stores.push(store);
  expect(await store.change(PARTS.map((part) => changeTo(1, part)))).toEqual(PARTS.map(() => true));
  const all = await primaries();
  const counts = await Promise.all(
    all.map(async ({ port }) => Number(await cluster.cli(port, 'cluster', 'countkeysinslot', `${slot}`))),
  );
  const from = all[counts.indexOf(PARTS.length)]!;
  const to = all.find(({ id }) => id !== from.id)!;
  await cluster.cli(to.port, 'cluster', 'setslot', `${slot}`, 'importing', from.id);
  await cluster.cli(from.port, 'cluster', 'setslot', `${slot}`, 'migrating', to.id);
  const migrate = async (count: number) => {
    const keys = (await cluster.cli(from.port, 'cluster', 'getkeysinslot', `${slot}`, `${count}`))
      .trim()
      .split('\n');
    await cluster.cli(from.port, 'migrate', '127.0.0.1', `${to.port}`, '', '0', '5000', 'keys', ...keys);
  };
  await migrate(PARTS.length / 2);
  for (const part of PARTS) expect(await answered(() => store.change([changeTo(2, part)]))).toEqual([true]);
  await expectRound(store, 2);
  await migrate(PARTS.length / 2);
  for (const { port } of [to, from]) await cluster.cli(port, 'cluster', 'setslot', `${slot}`, 'node', to.id);
  expect(await answered(() => store.change(PARTS.map((part) => changeTo(3, part))))).toEqual(
    PARTS.map(() => true),
  );
  await expectRound(store, 3);
}, 120_000);
