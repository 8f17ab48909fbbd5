import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { RedisLogin, RedisServers } from '../../../src/config-redis.ts';
import { type Claim, type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { RedisCluster } from '../../services/redis-cluster.ts';

/** Digest-like ids, never the same. */
export const ids = (count: number): Claim[] =>
  Array.from({ length: count }, () => ({ key: randomUUID().slice(0, 22), print: 1 }));

/** Claims ids all over the store until each gets an answer; the test's own time limit ends it. */
export async function answering(store: DedupeStore, count = 1): Promise<void> {
  for (;;) {
    try {
      await store.claim(ids(count), 'probe');
      return;
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      await turn();
    }
  }
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
