import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redisRateStore } from '../../../src/adapters/redis/rate-store.ts';
import type { SourceConfig } from '../../../src/config/source/types.ts';
import type { RequestError } from '../../../src/core/errors.ts';
import type { Admission } from '../../../src/gateway/admission/admit.ts';
import type { Limiter } from '../../../src/gateway/rate/limiter.ts';
import { makeLimiter } from '../../../src/gateway/rate/rate-limiter.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { RateStore, TokenAsk, TokenGrant } from '../../../src/ports/rate-store.ts';
import { rateStoreContract } from '../../contracts/rate-store.ts';
import { type RedisServer, startRedis } from '../../services/redis.ts';
import { answered } from './store.ts';

const admission = { guarded: { source: { name: 's' } }, who: null } as Admission;

let server: RedisServer;
let stores: RateStore[];
let errors: Error[];
beforeEach(async () => {
  server = await startRedis();
  stores = [];
  errors = [];
});
afterEach(async () => {
  for (const store of stores) await store.close();
  await server.stop();
});

rateStoreContract('Redis', async () => {
  return { open: () => open(), destroy: async () => {} };
});

/** A store that is connected. */
async function open(url = server.url): Promise<RateStore> {
  const store = redisRateStore({ url, prefix: 't:', timeout: 1_000, onError: (error) => errors.push(error) });
  stores.push(store);
  await answering(store);
  return store;
}

const answering = (store: RateStore) =>
  answered(() => store.take([{ key: randomUUID(), rate: 1, owed: 0, want: 0 }]));

describe('redisRateStore', { timeout: 30_000 }, () => {
  const one = async (store: RateStore, ask: Partial<TokenAsk>): Promise<TokenGrant> =>
    (await store.take([{ key: 'k', rate: 1_000_000, owed: 0, want: 0, ...ask }]))[0]!;

  test('nothing is kept of a bucket once it is full again', async () => {
    const store = await open();
    const client = new Redis(server.url);
    await one(store, { key: 'gone', rate: 10, want: 5 });
    await one(store, { key: 'debt', rate: 10, owed: 100 });
    const names = (await client.keys('t:rate:*')).sort();
    expect(names).toEqual(expect.arrayContaining(['t:rate:debt', 't:rate:gone']));
    for (const name of names) {
      const left = await client.pttl(name);
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(name === 't:rate:debt' ? 11_000 : 2_000);
    }
    client.disconnect();
  });

  test('says that it has no answer while Redis is down, and works again by itself', async () => {
    const store = await open();
    const { port } = server;
    await server.stop();
    await expect(one(store, {})).rejects.toThrow(StoreUnavailable);
    server = await startRedis({ port });
    await answering(store);
    expect(errors.length).toBeLessThanOrEqual(1);
    server.kill('SIGSTOP');
    await expect(one(store, {})).rejects.toThrow(StoreUnavailable);
    server.kill('SIGCONT');
    await answering(store);
  });
});

describe('gateways that share a rate', { timeout: 60_000 }, () => {
  /** A gateway's limiter. */
  function gateway(store: RateStore, events: number): Limiter {
    const sources = [
      { name: 's', rate: { all: { events, bytes: null }, key: null } } as unknown as SourceConfig,
    ];
    return makeLimiter({
      sources,
      store,
      digests: { digest: (text) => Buffer.from(text).toString('base64url') },
    })!;
  }

  interface Run {
    /** That came in. */
    events: number;
    seconds: number;
  }

  /** Sends requests of `size` events, many at once, for some seconds. */
  async function drive(limiter: Limiter, size: number, seconds: number): Promise<Run> {
    const started = performance.now();
    let events = 0;
    const elapsed = () => (performance.now() - started) / 1000;
    const client = async () => {
      while (elapsed() < seconds) {
        try {
          limiter.check(admission);
          await limiter.take(admission, size, 1);
          events += size;
        } catch (error) {
          expect((error as RequestError).code).toBe('rate_limited');
        }
        // The pace of a client.
        await sleep(1);
      }
    };
    await Promise.all(Array.from({ length: 10 }, client));
    return { events, seconds: elapsed() };
  }

  /** Counting stores: how often Redis is asked. */
  function counted(store: RateStore) {
    const counter = { calls: 0 };
    const take: RateStore['take'] = (asks) => {
      counter.calls++;
      return store.take(asks);
    };
    return { store: { take, close: () => store.close() }, counter };
  }

  test.each([
    [1000, 1],
    [1000, 7],
    [50, 1],
    [50, 200],
  ])('let in %i events a second together, in requests of %i', async (rate, size) => {
    const both = [counted(await open()), counted(await open()), counted(await open())];
    const runs = await Promise.all(both.map(({ store }) => drive(gateway(store, rate), size, 3)));
    const sum = runs.reduce((total, { events }) => total + events, 0);
    const seconds = Math.max(...runs.map((run) => run.seconds));
    // A burst, what came in, and for each gateway what it had ahead and the request that took the rest.
    const ahead = 3 * (Math.max(1, rate / 10) + size);
    expect(sum).toBeLessThanOrEqual(rate * (1 + seconds) + ahead);
    expect(sum).toBeGreaterThanOrEqual(rate * (1 + seconds) * 0.5 - ahead);
    for (const { counter } of both) expect(counter.calls / seconds).toBeLessThanOrEqual(100);
  });

  test('goes on by itself at the same rate when Redis is killed, and shares again when it is back', async () => {
    const { port } = server;
    const limiter = gateway(await open(), 100);
    const most = (run: Run) => 100 * (1 + run.seconds) + 10 + 1;
    const before = await drive(limiter, 1, 0.5);
    expect(before.events).toBeLessThanOrEqual(most(before));
    await server.stop();
    const alone = await drive(limiter, 1, 2);
    expect(alone.events).toBeGreaterThan(20);
    expect(alone.events).toBeLessThanOrEqual(most(alone));
    server = await startRedis({ port });
    const client = new Redis(server.url);
    await expect
      .poll(
        async () => {
          await drive(limiter, 1, 0.05);
          return client.keys('t:rate:*');
        },
        { timeout: 20_000 },
      )
      .toHaveLength(1);
    client.disconnect();
  });
});
