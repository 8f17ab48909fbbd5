import { hash, randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Claim, type ClaimOutcome, claimKey, type DedupeStore } from '../../src/ports/dedupe-store.ts';

/** One store's storage. */
export interface StoreUnderTest {
  /** Opens a store on it, ready for use. Stores that are open at the same time share their ids. */
  open(times: { window: number; lease: number }): Promise<DedupeStore>;
  destroy(): Promise<void>;
}

/** What every dedupe store does. */
export function dedupeStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a dedupe store`, { timeout: 30_000 }, () => {
    let storage: StoreUnderTest;
    let store: DedupeStore;
    const opened: DedupeStore[] = [];

    const open = async (times: { window?: number; lease?: number } = {}) => {
      const one = await storage.open({ window: 60_000, lease: 60_000, ...times });
      opened.push(one);
      return one;
    };

    beforeEach(async () => {
      storage = await make();
      store = await open();
    });

    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close();
      await storage.destroy();
    });

    const ids = (count: number, checksum = 1): Claim[] =>
      Array.from({ length: count }, () => ({
        key: claimKey(hash('sha256', randomUUID(), 'base64')),
        checksum,
      }));
    const changed = (claims: Claim[]) => claims.map(({ key, checksum }) => ({ key, checksum: checksum + 1 }));
    /** Claims again and again until the outcome is no longer `old`; the test's time limit ends it. */
    const after = async (old: ClaimOutcome, one: DedupeStore, claims: Claim[], owner: string) => {
      let outcome = old;
      while (outcome === old) {
        outcome = (await one.claim(claims, owner))[0]!;
        await turn();
      }
      return outcome;
    };

    test('a new id is claimed, pending for others, and duplicate or changed once confirmed', async () => {
      const [id] = ids(1, 4_294_967_295) as [Claim];
      expect(await store.claim([id], 'a')).toEqual(['claimed']);
      expect(await store.claim([id], 'b')).toEqual(['pending']);
      await store.confirm([id], 'a');
      expect(await store.claim([id], 'b')).toEqual(['duplicate']);
      expect(await store.claim([id], 'a')).toEqual(['duplicate']);
      expect(await store.claim([{ key: id.key, checksum: 0 }], 'b')).toEqual(['changed']);
    });

    test('nothing at all may be claimed, confirmed and released', async () => {
      expect(await store.claim([], 'a')).toEqual([]);
      await store.confirm([], 'a');
      await store.release([], 'a');
    });

    test('C30 a released id is free at once, also with another payload', async () => {
      const claims = ids(2);
      await store.claim(claims, 'a');
      await store.release(claims, 'a');
      expect(await store.claim(changed(claims), 'b')).toEqual(['claimed', 'claimed']);
    });

    test('a confirmed id is not released', async () => {
      const claims = ids(1);
      await store.claim(claims, 'a');
      await store.confirm(claims, 'a');
      await store.release(claims, 'a');
      expect(await store.claim(claims, 'b')).toEqual(['duplicate']);
    });

    test('an owner may claim again what it holds, and so renews it', async () => {
      const short = await open({ lease: 100 });
      const claims = ids(1);
      await short.claim(claims, 'a');
      expect(await store.claim(claims, 'a')).toEqual(['claimed']);
      // An unrenewed claim made later than the first has run out: so would the first one have.
      const other = ids(1);
      await short.claim(other, 'a');
      await after('pending', short, other, 'b');
      expect(await store.claim(claims, 'b')).toEqual(['pending']);
    });

    test('one owner is told from another whose name it begins', async () => {
      const claims = ids(1);
      await store.claim(claims, 'owner1');
      expect(await store.claim(claims, 'owner')).toEqual(['pending']);
      expect(await store.claim(claims, 'owner11')).toEqual(['pending']);
      await store.release(claims, 'owner');
      await store.confirm(claims, 'owner11');
      expect(await store.claim(claims, 'b')).toEqual(['pending']);
    });

    test('C31 a claim ends by itself after its lease', async () => {
      const short = await open({ lease: 100 });
      const claims = ids(1);
      await short.claim(claims, 'a');
      expect(await after('pending', short, claims, 'b')).toBe('claimed');
    });

    test('C31 a late owner neither releases nor confirms what a newer owner holds', async () => {
      const short = await open({ lease: 50 });
      const claims = ids(1);
      await short.claim(claims, 'late');
      await after('pending', store, claims, 'newer');
      await store.release(claims, 'late');
      expect(await store.claim(claims, 'third')).toEqual(['pending']);
      await store.confirm(changed(claims), 'late');
      expect(await store.claim(claims, 'third')).toEqual(['pending']);
      await store.confirm(claims, 'newer');
      expect(await store.claim(claims, 'third')).toEqual(['duplicate']);
    });

    test('C31 a late owner does not confirm what a newer owner has confirmed', async () => {
      const short = await open({ lease: 50 });
      const claims = ids(1);
      await short.claim(claims, 'late');
      await after('pending', store, claims, 'newer');
      await store.confirm(claims, 'newer');
      await store.confirm(changed(claims), 'late');
      expect(await store.claim(claims, 'third')).toEqual(['duplicate']);
    });

    test('an id whose claim has run out is confirmed all the same', async () => {
      const claims = ids(1);
      await store.confirm(claims, 'a');
      expect(await store.claim(claims, 'b')).toEqual(['duplicate']);

      const short = await open({ lease: 50 });
      const [first, second] = [ids(1), ids(1)];
      await short.claim(first, 'a');
      await short.claim(second, 'a');
      await after('pending', short, second, 'b');
      await store.confirm(first, 'a');
      expect(await store.claim(first, 'b')).toEqual(['duplicate']);
    });

    test('a confirmed id is forgotten after the window', async () => {
      const short = await open({ window: 100 });
      const claims = ids(1);
      await short.claim(claims, 'a');
      await short.confirm(claims, 'a');
      expect(await after('duplicate', short, claims, 'b')).toBe('claimed');
    });

    test('confirming lasts for the window, however short the lease', async () => {
      const short = await open({ lease: 50 });
      const [confirmed, claimed] = [ids(1), ids(1)];
      await short.claim(confirmed, 'a');
      await short.confirm(confirmed, 'a');
      await short.claim(claimed, 'a');
      await after('pending', short, claimed, 'b');
      expect(await short.claim(confirmed, 'b')).toEqual(['duplicate']);
    });

    test('500 ids in one call get their outcomes in order', async () => {
      const claims = ids(500);
      const own = claims.filter((_, i) => i % 5 === 1);
      const foreign = claims.filter((_, i) => i % 5 === 2);
      const stored = claims.filter((_, i) => i % 5 >= 3);
      await store.claim(own, 'a');
      await store.claim([...foreign, ...stored], 'b');
      await store.confirm(stored, 'b');
      const asked = claims.map((claim, i) => (i % 5 === 4 ? { ...claim, checksum: 7 } : claim));
      const expected = (['claimed', 'claimed', 'pending', 'duplicate', 'changed'] as const).slice();
      expect(await store.claim(asked, 'a')).toEqual(claims.map((_, i) => expected[i % 5]));
      await store.release(asked, 'a');
      const released = claims.map((_, i) => (i % 5 <= 1 ? 'claimed' : expected[i % 5]));
      expect(await store.claim(asked, 'c')).toEqual(released);
    });

    test('calls of one tick take effect in order', async () => {
      const claims = ids(200);
      await store.claim(claims, 'a');
      const [, first, , second] = await Promise.all([
        store.confirm(claims.slice(0, 100), 'a'),
        store.claim(claims, 'b'),
        store.release(claims.slice(100), 'a'),
        store.claim(claims, 'c'),
      ]);
      expect(first).toEqual(claims.map((_, i) => (i < 100 ? 'duplicate' : 'pending')));
      expect(second).toEqual(claims.map((_, i) => (i < 100 ? 'duplicate' : 'claimed')));
    });

    test('C31 of two stores that race for an id exactly one gets it, 1000 times', async () => {
      const other = await open();
      for (let round = 0; round < 1000; round++) {
        const claims = ids(1);
        const both = [store.claim(claims, 'a'), other.claim(claims, 'b')];
        const results = (await Promise.all(both)).flat();
        expect(results.sort()).toEqual(['claimed', 'pending']);
      }
    });

    test('may be closed twice', async () => {
      await store.close();
      await expect(store.close()).resolves.toBeUndefined();
    });
  });
}
