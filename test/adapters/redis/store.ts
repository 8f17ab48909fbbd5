import { hash, randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { keyNames } from '../../../src/adapters/redis/dedupe-store.ts';
import type { RedisLogin, RedisServers } from '../../../src/config/dedupe/types.ts';
import { type Claim, claimKey, type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { RedisCluster } from '../../services/redis-cluster.ts';

/** The key of a claim, as of an event with this identity. */
export const keyOf = (identity: string) => claimKey(hash('sha256', identity, 'base64'));

/** The names of ids in Redis. */
export const namesOf = (prefix: string, claims: readonly Claim[]) =>
  keyNames(
    prefix,
    claims.map(({ key }) => key),
  ).map((name) => Buffer.from(name, 'latin1'));

/** Ids, never the same. */
export const ids = (count: number): Claim[] =>
  Array.from({ length: count }, () => ({ key: keyOf(randomUUID()), checksum: 1 }));

/** Milliseconds until a server or its replacement must answer. */
const PATIENCE_MS = 40_000;

/** Asks again while the store is unavailable; rejects when that takes too long. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; ; ) {
    try {
      return await ask();
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      if (performance.now() > end) throw new Error('waited in vain for the store', { cause: error });
      await turn();
    }
  }
}

/** Claims ids all over the store until each gets an answer. */
export async function answering(store: DedupeStore, count = 1): Promise<void> {
  await answered(() => store.claim(ids(count), 'probe'));
}

/** Waits until each call is settled: all must reject as unavailable. */
export async function refused(calls: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(calls);
  for (const result of results) {
    expect(result.status === 'rejected' && result.reason).toBeInstanceOf(StoreUnavailable);
  }
}

/** No user, no password, no TLS. */
const open: RedisLogin = { username: null, password: null, tls: null };

/** The config of a cluster of which only the first nodes are known. */
export function clusterServers({ nodes }: RedisCluster): RedisServers {
  return { cluster: { ...open, nodes: nodes.slice(0, 2) } };
}

export interface ClusterNode {
  id: string;
  port: number;
  /** `FROM-TO`, or one slot. */
  slots: string[];
}

/** The primaries of a cluster, as its first node sees it. */
export async function primariesOf({ nodes, cli }: RedisCluster): Promise<ClusterNode[]> {
  const lines = (await cli(nodes[0]!.port, 'cluster', 'nodes')).trim().split('\n');
  return lines
    .map((line) => line.split(' ') as [string, string, string, ...string[]])
    .filter(([, , flags]) => flags.includes('master') && !flags.includes('fail'))
    .map(([id, address, , , , , , , ...slots]) => ({ id, port: Number(/:(\d+)@/.exec(address)![1]), slots }));
}

/** The primary that has a slot, and another one. */
export async function twoPrimaries(cluster: RedisCluster, slot: number): Promise<[ClusterNode, ClusterNode]> {
  const primaries = await primariesOf(cluster);
  const owner = primaries.find(({ slots }) =>
    slots.some((range) => {
      const [from, to = from] = range.split('-').map(Number) as [number, number?];
      return from <= slot && slot <= to;
    }),
  )!;
  return [owner, primaries.find(({ id }) => id !== owner.id)!];
}

/** Begins to move a slot. `migrate` moves that many of its keys; `finish` gives the slot to the other node. */
export async function beginMove(
  { cli }: RedisCluster,
  slot: number,
  [from, to]: readonly [ClusterNode, ClusterNode],
) {
  await cli(to.port, 'cluster', 'setslot', `${slot}`, 'importing', from.id);
  await cli(from.port, 'cluster', 'setslot', `${slot}`, 'migrating', to.id);
  return {
    async migrate(keys: Buffer[]): Promise<void> {
      const client = new Redis(from.port);
      await client.migrate('127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
      client.disconnect();
    },
    async finish(): Promise<void> {
      for (const { port } of [to, from]) await cli(port, 'cluster', 'setslot', `${slot}`, 'node', to.id);
    },
  };
}
