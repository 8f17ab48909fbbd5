import { hash, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { keyNames } from '../../../src/adapters/redis/dedupe-store.ts';
import type { RedisLogin, RedisServers } from '../../../src/config/redis/resolve.ts';
import { type Claim, claimKey, type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { RedisCluster } from '../../services/redis-cluster.ts';
import { until } from '../../services/until.ts';

/** The key of a claim, as of an event with this identity. */
export const keyOf = (identity: string) => claimKey(hash('sha256', identity, 'base64'));

/** What Redis calls ids. */
export const namesOf = (prefix: string, claims: readonly Claim[]) =>
  keyNames(
    prefix,
    claims.map(({ key }) => key),
  ).map((name) => Buffer.from(name, 'latin1'));

/** Ids, never the same. */
export const ids = (count: number): Claim[] =>
  Array.from({ length: count }, () => ({ key: keyOf(randomUUID()), print: 1 }));

/** Claims ids all over the store until each gets an answer. Until then it must reject as unavailable. */
export async function answering(store: DedupeStore, count = 1): Promise<void> {
  const answers = () =>
    store.claim(ids(count), 'probe').then(
      () => true,
      (error: unknown) => {
        expect(error).toBeInstanceOf(StoreUnavailable);
        return false;
      },
    );
  await until('the store answers', answers, { every: 1 });
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
