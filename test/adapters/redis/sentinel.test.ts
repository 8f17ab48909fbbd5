import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { redisDedupeStore } from '../../../src/adapters/redis/dedupe-store.ts';
import { redisRateStore } from '../../../src/adapters/redis/rate-store.ts';
import type { RedisServers } from '../../../src/config/redis/resolve.ts';
import { type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import { dedupeStoreContract } from '../../contracts/dedupe-store.ts';
import { type RedisSentinel, startRedisSentinel } from '../../services/redis-sentinel.ts';
import { answering, ids, namesOf } from './store.ts';

let rig: RedisSentinel;
beforeAll(async () => {
  rig = await startRedisSentinel();
}, 60_000);
afterAll(() => rig.stop());

function servers(): RedisServers {
  const { nodes, name, password, sentinelPassword } = rig;
  return { sentinel: { nodes, name, username: null, password, sentinelPassword, tls: null } };
}

function openStore(options: { prefix?: string; window?: number; lease?: number } = {}) {
  return redisDedupeStore({
    ...servers(),
    prefix: 't:',
    timeout: 1_000,
    window: 60_000,
    lease: 30_000,
    onError: () => {},
    ...options,
  });
}

dedupeStoreContract('Redis behind sentinels', async () => {
  const prefix = `${randomUUID()}:`;
  return {
    open: async (times) => {
      const store = openStore({ prefix, ...times });
      await answering(store);
      return store;
    },
    destroy: async () => {},
  };
});

describe('faults', { timeout: 60_000 }, () => {
  let store: DedupeStore;
  beforeEach(async () => {
    store = openStore({ prefix: `${randomUUID()}:` });
    await answering(store);
  });
  afterEach(() => store.close());

  /** The replica follows, so that the next failover has somebody to turn to. */
  const whole = () =>
    expect
      .poll(
        async () => {
          const infos = rig.servers.map(({ port }) => rig.cli(port, 'info', 'replication').catch(() => ''));
          return (await Promise.all(infos)).filter((info) =>
            /role:slave[\s\S]*master_link_status:up/.test(info),
          );
        },
        { timeout: 40_000 },
      )
      .toHaveLength(1);

  /** Ids that are stored on both servers. */
  async function stored() {
    const claims = ids(100);
    await store.claim(claims, 'a');
    await store.confirm(claims, 'a');
    await rig.cli((await rig.primary()).port, 'wait', '1', '5000');
    return claims;
  }

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'C32 when the primary goes away (%s) claims go on at the one that the sentinels choose',
    async (signal) => {
      const before = await stored();
      const lost = await rig.primary();
      lost.kill(signal);
      await expect(store.claim(ids(10), 'b')).rejects.toThrow(StoreUnavailable);
      await answering(store);
      expect((await rig.primary()).port).not.toBe(lost.port);
      expect(await store.claim(before, 'c')).toEqual(before.map(() => 'duplicate'));
      if (signal === 'SIGKILL') await lost.restart();
      else lost.kill('SIGCONT');
      await whole();
      expect(await store.claim(before, 'd')).toEqual(before.map(() => 'duplicate'));
    },
  );

  test('C32 a primary that is made a replica under open connections is left for the new one', async () => {
    const before = await stored();
    const old = await rig.primary();
    await rig.cli(rig.sentinels[0]!.port, '-a', rig.sentinelPassword, 'sentinel', 'failover', rig.name);
    await expect.poll(async () => (await rig.primary()).port, { timeout: 20_000 }).not.toBe(old.port);
    await whole();
    await answering(store);
    expect(await store.claim(before, 'b')).toEqual(before.map(() => 'duplicate'));
  });

  test('C32 goes to the primary that the sentinels choose while the old one still takes writes, and forgets nothing', async () => {
    const other = openStore({ prefix: 'next:' });
    await answering(other);
    const old = await rig.primary();
    const next = rig.servers.find((server) => server !== old)!;
    await rig.cli(rig.sentinels[0]!.port, '-a', rig.sentinelPassword, 'sentinel', 'failover', rig.name);
    await expect.poll(async () => (await rig.primary()).port, { timeout: 20_000 }).toBe(next.port);
    const client = new Redis(next.port, { password: rig.password });
    const isThere = async () => {
      await answering(other);
      const [one] = ids(1);
      await other.claim([one!], 'a').catch(() => {});
      return client.exists(...namesOf('next:', [one!]));
    };
    await expect.poll(isThere, { timeout: 30_000 }).toBe(1);
    client.disconnect();
    expect(await rig.cli(old.port, 'info', 'replication')).toContain('role:master');
    const claims = ids(100);
    await other.claim(claims, 'b');
    await other.confirm(claims, 'b');
    await whole();
    await answering(other);
    expect(await other.claim(claims, 'c')).toEqual(claims.map(() => 'duplicate'));
    await other.close();
  });

  test('a sentinel that hangs, and one that is gone, keep nobody from the primary', async () => {
    rig.sentinels[0]!.kill('SIGSTOP');
    rig.sentinels[1]!.kill('SIGKILL');
    const other = openStore({ prefix: 'other:' });
    await expect(answering(other)).resolves.toBeUndefined();
    await other.close();
    rig.sentinels[0]!.kill('SIGCONT');
    await rig.sentinels[1]!.restart();
  });

  test('rates are kept there, too', async () => {
    const rates = redisRateStore({ ...servers(), prefix: 'r:', timeout: 1_000, onError: () => {} });
    const ask = () => rates.take([{ key: randomUUID(), rate: 10, owed: 0, want: 4 }]).catch(() => null);
    await expect.poll(ask).toEqual([{ granted: 4, left: 6, wait: 0 }]);
    await rates.close();
  });

  test('a wrong password is told, and is no verdict', async () => {
    const errors: string[] = [];
    const { sentinel } = servers() as Extract<RedisServers, { sentinel: unknown }>;
    const wrong = redisDedupeStore({
      sentinel: { ...sentinel, password: 'wrong' },
      ...{ prefix: 'w:', timeout: 500, window: 1_000, lease: 1_000 },
      onError: (error) => errors.push(error.message),
    });
    await expect.poll(() => errors).toEqual([expect.stringMatching(/WRONGPASS/)]);
    await expect(wrong.claim(ids(1), 'a')).rejects.toThrow(/WRONGPASS/);
    await wrong.close();
  });
});
