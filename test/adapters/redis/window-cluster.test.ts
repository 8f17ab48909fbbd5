import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { slotOf } from '../../../src/adapters/redis/slots.ts';
import { redisWindowStore } from '../../../src/adapters/redis/window-store.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { StreamPart, WindowChange, WindowStore } from '../../../src/ports/window-store.ts';
import { windowStoreContract } from '../../contracts/window-store.ts';
import { type RedisCluster, startRedisCluster } from '../../services/redis-cluster.ts';
import { answered, beginMove, clusterServers, primariesOf, twoPrimaries } from './store.ts';

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

windowStoreContract('Redis Cluster', async () => {
  const prefix = `${randomUUID()}:`;
  return { open: () => openStore(prefix), destroy: async () => {} };
});

test('a primary that is killed takes no state with it, and no change is made twice or by half', async () => {
  const store = await openStore();
  stores.push(store);
  expect(await store.change(PARTS.map((part) => changeTo(1, part)))).toEqual(PARTS.map(() => true));
  const all = await primariesOf(cluster);
  // Replication is asynchronous: what is not there yet is lost in the failover.
  for (const { port } of all) await cluster.cli(port, 'wait', '1', '5000');
  const lost = cluster.servers.find(({ port }) => port === all[1]!.port)!;
  lost.kill('SIGKILL');
  const changes = PARTS.map((part) => changeTo(2, part));
  await expect(store.change(changes)).rejects.toBeInstanceOf(StoreUnavailable);
  // Made on the other nodes already: asking again says so.
  expect(await answered(() => store.change(changes))).toEqual(PARTS.map(() => true));
  await expectRound(store, 2);
  // A writer with an older mark has been replaced.
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
  const move = await beginMove(cluster, slot, await twoPrimaries(cluster, slot));
  const keys = PARTS.map(({ stream, partition }) => Buffer.from(`${prefix}stream:${stream}/${partition}`));
  await move.migrate(keys.slice(0, PARTS.length / 2));
  for (const part of PARTS) expect(await answered(() => store.change([changeTo(2, part)]))).toEqual([true]);
  await expectRound(store, 2);
  await move.migrate(keys.slice(PARTS.length / 2));
  await move.finish();
  expect(await answered(() => store.change(PARTS.map((part) => changeTo(3, part))))).toEqual(
    PARTS.map(() => true),
  );
  await expectRound(store, 3);
}, 120_000);
