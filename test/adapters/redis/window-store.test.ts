import { describe, expect, test } from 'vitest';
import { redisWindowStore } from '../../../src/adapters/redis/window-store.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import type { WindowStore } from '../../../src/ports/window-store.ts';
import { windowStoreContract } from '../../contracts/window-store.ts';
import { type RedisServer, startRedis } from '../../services/redis.ts';
import { answered, refused } from './store.ts';

const open = (server: RedisServer) =>
  redisWindowStore({ url: server.url, prefix: 't:', timeout: 5_000, onError: () => {} });

async function answering(store: WindowStore): Promise<WindowStore> {
  await answered(() => store.load({ stream: 's', partition: 'none' }));
  return store;
}

windowStoreContract('Redis', async () => {
  const server = await startRedis();
  return { open: () => answering(open(server)), destroy: () => server.stop() };
});

describe('redisWindowStore', () => {
  test('is unavailable while the server is, and finds an emptied server empty', async () => {
    const server = await startRedis();
    const store = open(server);
    await refused([store.load({ stream: 's', partition: 'a/0' })]);
    await answering(store);
    const change = { stream: 's', partition: 'a/0', entries: new Map([['x', '1']]), life: 60_000 };
    expect(await store.change([{ ...change, expected: null, mark: 'm1' }])).toEqual([true]);
    server.kill('SIGKILL');
    await server.ended();
    await expect
      .poll(() => store.change([{ ...change, expected: 'm1', mark: 'm2' }]).catch((error) => error))
      .toBeInstanceOf(StoreUnavailable);
    await server.restart();
    await answering(store);
    expect(await store.change([{ ...change, expected: 'm1', mark: 'm2' }])).toEqual([false]);
    expect((await store.load(change)).mark).toBeNull();
    await store.close();
    await server.stop();
  });
});
