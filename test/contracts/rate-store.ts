import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RateStore, TokenAsk, TokenGrant } from '../../src/ports/rate-store.ts';

/** One store's storage. */
export interface RateStoreUnderTest {
  /** Opens a store on it, ready for use. Stores that are open at the same time share their buckets. */
  open(): Promise<RateStore>;
  destroy(): Promise<void>;
}

/** What every rate store does. */
export function rateStoreContract(name: string, make: () => Promise<RateStoreUnderTest>): void {
  describe(`${name} as a rate store`, { timeout: 30_000 }, () => {
    let storage: RateStoreUnderTest;
    let store: RateStore;
    let other: RateStore;
    beforeEach(async () => {
      storage = await make();
      [store, other] = await Promise.all([storage.open(), storage.open()]);
    });
    afterEach(async () => {
      await Promise.all([store.close(), other.close()]);
      await storage.destroy();
    });

    const take = async (ask: Partial<TokenAsk> & { key: string; rate: number }): Promise<TokenGrant> =>
      (await store.take([{ owed: 0, want: 0, ...ask }]))[0]!;

    test('no ask gets no grant', async () => {
      expect(await store.take([])).toEqual([]);
    });

    test('a new bucket is full, gives as many tokens as are wanted, and no more than it has', async () => {
      const key = randomUUID();
      expect(await take({ key, rate: 1, want: 5 })).toEqual({ granted: 1, left: 0, wait: 1000 });
      expect(await take({ key: randomUUID(), rate: 100, want: 40 })).toEqual({
        granted: 40,
        left: 60,
        wait: 0,
      });
      expect(await take({ key: randomUUID(), rate: 100, want: 100 })).toEqual({
        granted: 100,
        left: 0,
        wait: 0,
      });
    });

    test('owed tokens are taken from an empty bucket too, and earn the next tokens later', async () => {
      const [enough, short] = [randomUUID(), randomUUID()];
      expect(await take({ key: enough, rate: 100, owed: 30, want: 20 })).toEqual({
        granted: 20,
        left: 50,
        wait: 0,
      });
      expect(await take({ key: short, rate: 10, owed: 35, want: 40 })).toEqual({
        granted: 0,
        left: -25,
        wait: 2600,
      });
      const later = await take({ key: short, rate: 10, want: 1 });
      expect([later.granted, later.left < -20, later.wait > 2000]).toEqual([0, true, true]);
    });

    test('an empty bucket has a token again after the time that it named, and is never more than full', async () => {
      const key = randomUUID();
      const rate = 20;
      const started = performance.now();
      const { wait } = await take({ key, rate, want: rate + 1 });
      expect(wait).toBe(50);
      await expect
        .poll(() => take({ key, rate, want: 1 }), { timeout: 5_000, interval: 5, message: 'a token' })
        .toMatchObject({ granted: 1 });
      // The clocks of the store and of this process may run at slightly different speeds.
      expect(performance.now() - started).toBeGreaterThanOrEqual(wait - 5);
      await expect
        .poll(() => take({ key, rate }), { timeout: 10_000, message: 'a full bucket' })
        .toMatchObject({ left: rate });
      expect((await take({ key, rate, want: 10 * rate })).granted).toBe(rate);
    });

    test('300 buckets in one call get their grants in order', async () => {
      const asks = Array.from({ length: 300 }, (_, i) => ({
        key: randomUUID(),
        rate: 1000 + i,
        owed: i,
        want: 7,
      }));
      const grants = await store.take(asks);
      expect(grants).toEqual(asks.map(() => ({ granted: 7, left: 993, wait: 0 })));
    });

    test('stores share a bucket: of 1000 calls at once exactly as many get a token as there are', async () => {
      const key = randomUUID();
      const started = performance.now();
      const calls = Array.from({ length: 1000 }, (_, i) =>
        (i % 2 === 0 ? store : other).take([{ key, rate: 5, owed: 0, want: 1 }]),
      );
      const granted = (await Promise.all(calls)).reduce((sum, [grant]) => sum + grant!.granted, 0);
      const income = (5 * (performance.now() - started)) / 1000;
      expect(granted).toBeGreaterThanOrEqual(5);
      expect(granted).toBeLessThanOrEqual(5 + Math.ceil(income));
    });

    test('may be closed twice', async () => {
      await store.close();
      await store.close();
    });
  });
}
