import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redisDedupeStore } from '../../../src/adapters/redis/dedupe-store.ts';
import { type Claim, type DedupeStore, StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import { dedupeStoreContract } from '../../contracts/dedupe-store.ts';
import { type RedisServer, startRedis } from '../../services/redis.ts';
import { answering, ids, keyOf, namesOf, refused } from './store.ts';

dedupeStoreContract('Redis', async () => {
  const server = await startRedis();
  return {
    open: async (times) => {
      const store = redisDedupeStore({
        url: server.url,
        prefix: 't:',
        timeout: 5_000,
        ...times,
        onError: () => {},
      });
      await answering(store);
      return store;
    },
    destroy: () => server.stop(),
  };
});

describe('redisDedupeStore', { timeout: 30_000 }, () => {
  let server: RedisServer;
  let store: DedupeStore;
  let errors: Error[];
  let onError: (error: Error) => void;

  /** Resolves with the next error that a store tells of. */
  const nextError = () =>
    new Promise<Error>((resolve) => {
      onError = resolve;
    });
  const open = (options: { timeout?: number; prefix?: string; url?: string } = {}) =>
    redisDedupeStore({
      url: server.url,
      prefix: 't:',
      timeout: 2_000,
      window: 60_000,
      lease: 30_000,
      onError: (error) => {
        errors.push(error);
        onError(error);
      },
      ...options,
    });
  /** Runs commands on a connection of their own. */
  const redis = async <T>(run: (redis: Redis) => Promise<T>): Promise<T> => {
    const client = new Redis(server.url);
    try {
      return await run(client);
    } finally {
      client.disconnect();
    }
  };

  beforeEach(async () => {
    errors = [];
    onError = () => {};
    server = await startRedis();
    store = open();
    await answering(store);
  });

  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  const nameOf = (claim: Claim) => namesOf('t:', [claim])[0]!;

  test('keeps a confirmed id in at most 100 bytes, with the window as its life', async () => {
    const id = { key: keyOf('k'), checksum: 4_294_967_295 };
    await store.claim([id], 'a');
    expect(nameOf(id)).toEqual(
      Buffer.concat([Buffer.from('t:'), hash('sha256', 'k', 'buffer').subarray(0, 12)]),
    );
    expect(await redis((client) => client.get(nameOf(id)))).toBe('a:');
    await store.confirm([id], 'a');
    await redis(async (client) => {
      expect(await client.get(nameOf(id))).toBe('7295');
      expect(await client.object('ENCODING', nameOf(id))).toBe('int');
      // Redis has such a number once for all keys: an object that is never counted.
      expect(await client.object('REFCOUNT', nameOf(id))).toBe(2_147_483_647);
      expect(await client.pttl(nameOf(id))).toBeGreaterThan(30_000);
      const used = async () => Number(/^used_memory_dataset:(\d+)/m.exec(await client.info('memory'))![1]);
      const before = await used();
      // As many as fill Redis' tables.
      for (let i = 0; i < 65; i++) {
        const many = ids(i === 0 ? 535 : 1000);
        await store.claim(many, 'a');
        await store.confirm(many, 'a');
      }
      expect((await used()) - before).toBeLessThanOrEqual(100 * 64_535);
    });
  });

  test('a prefix may be any text', async () => {
    const other = open({ prefix: 'größe:' });
    await answering(other);
    const claims = ids(2);
    await other.claim(claims, 'a');
    await other.confirm(claims, 'a');
    expect(await other.claim(claims, 'b')).toEqual(['duplicate', 'duplicate']);
    const names = await redis((client) => client.keys('größe:*'));
    expect(names.length).toBe(3);
    await other.close();
  });

  test('gives a late confirm nothing of what others hold, and keeps that no longer than if it were new', async () => {
    const [claimed, confirmed] = [
      { key: keyOf('claimed'), checksum: 1 },
      { key: keyOf('confirmed'), checksum: 1 },
    ];
    await store.claim([claimed, confirmed], 'b');
    await store.confirm([confirmed], 'b');
    await store.confirm(
      [
        { ...claimed, checksum: 2 },
        { ...confirmed, checksum: 2 },
      ],
      'a',
    );
    await redis(async (client) => {
      expect(await client.mget(nameOf(claimed), nameOf(confirmed))).toEqual(['b:', '1']);
      const [lease, window] = [await client.pttl(nameOf(claimed)), await client.pttl(nameOf(confirmed))];
      expect(lease).toBeGreaterThan(0);
      expect(lease).toBeLessThanOrEqual(30_000);
      expect(window).toBeGreaterThan(30_000);
      expect(window).toBeLessThanOrEqual(60_000);
    });
  });

  test('stores with different prefixes do not see each other', async () => {
    const other = open({ prefix: 'u:' });
    await answering(other);
    const claims = ids(1);
    expect(await store.claim(claims, 'a')).toEqual(['claimed']);
    expect(await other.claim(claims, 'b')).toEqual(['claimed']);
    await other.close();
  });

  test('goes on after the scripts were flushed, in order', async () => {
    const [first, second] = [ids(3), ids(3)];
    await store.claim(first, 'a');
    await redis((client) => client.script('FLUSH'));
    const [, outcomes] = await Promise.all([
      store.confirm(first, 'a'),
      store.claim([...first, ...second], 'b'),
    ]);
    expect(outcomes).toEqual(['duplicate', 'duplicate', 'duplicate', 'claimed', 'claimed', 'claimed']);
  });

  test('C34 rejects at once before Redis exists, and works once it does', async () => {
    const { port } = server;
    await server.stop();
    const early = open();
    await expect(early.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    server = await startRedis({ port });
    await answering(early);
    await early.close();
  });

  test('C34 every call settles while Redis is stopped, and the store recovers by itself', async () => {
    const { port } = server;
    const calls = Promise.allSettled(Array.from({ length: 100 }, () => store.claim(ids(10), 'a')));
    await server.stop();
    await calls;
    await refused([store.claim(ids(1), 'a'), store.confirm(ids(1), 'a'), store.release(ids(1), 'a')]);
    server = await startRedis({ port });
    await answering(store);
    expect(await store.claim(ids(2), 'a')).toEqual(['claimed', 'claimed']);
  });

  test('C34 every call settles while Redis is frozen, and none takes effect later', async () => {
    const fast = open({ timeout: 100 });
    await answering(fast);
    server.kill('SIGSTOP');
    const [late, other] = [ids(50), ids(50)];
    await refused([fast.claim(late, 'a'), fast.confirm(other, 'a'), fast.claim(late, 'b')]);
    // From now on nothing waits for an answer.
    await expect(fast.claim(late, 'a')).rejects.toThrow(/no answer|lost/);
    // Nor does the handshake of the next connection.
    expect((await nextError()).message).toMatch(/timed out/);
    server.kill('SIGCONT');
    await answering(fast);
    await redis(async (client) => {
      // Once the server knows of its end it has read all that the dead connection brought: three are left.
      while (
        String(await client.client('LIST'))
          .trim()
          .split('\n').length > 3
      )
        await turn();
      expect(await client.exists(namesOf('t:', [...late, ...other]))).toBe(0);
    });
    expect(await fast.claim(late, 'c')).toEqual(late.map(() => 'claimed'));
    await fast.close();
  });

  test('C34 a call whose answer comes late, but within the time limit, is not lost', async () => {
    server.kill('SIGSTOP');
    const call = store.claim(ids(1), 'a');
    setImmediate(() => server.kill('SIGCONT'));
    expect(await call).toEqual(['claimed']);
  });

  test('a busy moment of our own is not an outage', async () => {
    const fast = open({ timeout: 50 });
    await answering(fast);
    const call = fast.claim(ids(1), 'a');
    await turn();
    const end = performance.now() + 120;
    while (performance.now() < end);
    expect(await call).toEqual(['claimed']);
    await fast.close();
  });

  test('C35 a server out of memory is unavailable, and nothing is half claimed', async () => {
    await redis((client) => client.config('SET', 'maxmemory', '1'));
    await expect(store.claim(ids(10), 'a')).rejects.toThrow(/OOM/);
    await redis(async (client) => {
      await client.config('SET', 'maxmemory', '0');
      // Only what found out that the store answers.
      expect(await client.dbsize()).toBe(1);
    });
    expect(await store.claim(ids(1), 'a')).toEqual(['claimed']);
  });

  test('C35 as memory fills up nothing that was confirmed is lost, and nothing is half done', async () => {
    const used = await redis(async (client) => /^used_memory:(\d+)/m.exec(await client.info('memory'))![1]);
    await redis((client) => client.config('SET', 'maxmemory', `${Number(used) + 1_000_000}`));
    const confirmed = [];
    let last = ids(500);
    for (;;) {
      const failed = await store
        .claim(last, 'a')
        .then(() => store.confirm(last, 'a').then(() => null, String), String);
      if (failed !== null) {
        expect(failed).toMatch(/OOM/);
        break;
      }
      confirmed.push(...last);
      last = ids(500);
    }
    expect(confirmed.length).toBeGreaterThan(1_000);
    await redis((client) => client.config('SET', 'maxmemory', '0'));
    expect(new Set(await store.claim(confirmed, 'b'))).toEqual(new Set(['duplicate']));
    // All of the last call or none: its owner may claim again, whatever it had got so far.
    expect(new Set(await store.claim(last, 'a'))).toEqual(new Set(['claimed']));
  });

  test('what somebody else wrote under our keys is never taken for a stored event', async () => {
    const [text, list, fine] = ids(3);
    await redis(async (client) => {
      await client.set(nameOf(text!), 'stored');
      await client.lpush(nameOf(list!), '1');
    });
    expect(await store.claim([text!, fine!], 'a')).toEqual(['pending', 'claimed']);
    await expect(store.claim([list!], 'a')).rejects.toThrow(/WRONGTYPE/);
    await expect(store.claim([list!], 'a')).rejects.toThrow(StoreUnavailable);
  });

  test('a user who may not run scripts gets no verdicts, and is told why', async () => {
    await redis((client) => client.acl('SETUSER', 'limited', 'on', '>secret', '~*', '+@all', '-@scripting'));
    const limited = open({ url: server.url.replace('//', '//limited:secret@') });
    expect((await nextError()).message).toMatch(/NOPERM/);
    await expect(limited.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    await redis((client) => client.acl('SETUSER', 'limited', '+@scripting'));
    await answering(limited);
    await limited.close();
  });

  test('what answers without being Redis is no store', async () => {
    const http = createServer((_, response) => response.end('no')).listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    const other = open({ url: `redis://127.0.0.1:${port}` });
    await nextError();
    await expect(other.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    await other.close();
    http.closeAllConnections();
    http.close();
  });

  test('C35 tells of a policy that drops ids before their time', async () => {
    await redis(async (client) => {
      await client.config('SET', 'maxmemory', '100mb');
      await client.config('SET', 'maxmemory-policy', 'volatile-ttl');
    });
    const other = open();
    await answering(other);
    expect(errors.map((error) => error.message)).toEqual([expect.stringContaining('volatile-ttl')]);
    await other.close();
  });

  test('C32 leaves a server that became read-only, and comes back when it may write', async () => {
    const primary = await startRedis();
    try {
      await redis((client) => client.replicaof('127.0.0.1', String(primary.port)));
      await expect(store.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
      await redis((client) => client.replicaof('NO', 'ONE'));
      await answering(store);
      expect(await store.claim(ids(1), 'a')).toEqual(['claimed']);
    } finally {
      await primary.stop();
    }
  });

  test('each error is told once per outage', async () => {
    const { port } = server;
    const told = nextError();
    await server.stop();
    await told;
    server = await startRedis({ port });
    await answering(store);
    const messages = errors.map((error) => error.message);
    expect(messages.length).toBeGreaterThan(0);
    expect(new Set(messages).size).toBe(messages.length);
  });

  test('C34 closes at once whatever Redis does, and rejects from then on', async () => {
    server.kill('SIGSTOP');
    const call = refused([store.claim(ids(1), 'a')]);
    await store.close();
    await call;
    await expect(store.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    const never = open({ url: 'redis://127.0.0.1:1' });
    await never.close();
    await expect(never.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
  });
});
