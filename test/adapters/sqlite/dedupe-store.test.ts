import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  openDedupeDatabase,
  SqliteDedupeStore,
  sqliteDedupeStore,
} from '../../../src/adapters/sqlite/dedupe-store.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import { dedupeStoreContract } from '../../contracts/dedupe-store.ts';
import { makeFolder, onError } from './setting.ts';

dedupeStoreContract('SQLite', async () => {
  const folder = await makeFolder();
  const db = openDedupeDatabase(folder);
  return {
    open: async (times) => new SqliteDedupeStore(db, { ...times, onError }),
    destroy: () => rm(folder, { recursive: true }),
  };
});

describe('sqliteDedupeStore', () => {
  let folder: string;
  const ids = (count: number, from = 0) =>
    Array.from({ length: count }, (_, i) => ({ key: `k${from + i}`, checksum: 1 }));

  beforeEach(async () => {
    folder = await makeFolder();
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('remembers over a restart', async () => {
    const options = { path: folder, window: 60_000, lease: 60_000, onError };
    const first = sqliteDedupeStore(options);
    await first.claim(ids(2), 'a');
    await first.confirm(ids(1), 'a');
    await first.close();
    const second = sqliteDedupeStore(options);
    expect(await second.claim(ids(3), 'b')).toEqual(['duplicate', 'pending', 'claimed']);
    await second.close();
  });

  test('deletes expired ids a few at a time', async () => {
    const db = openDedupeDatabase(folder);
    const rows = () => Number(db.prepare('SELECT count(*) AS n FROM ids').get()!.n);
    const expired = new SqliteDedupeStore(db, { window: 0, lease: 0, onError });
    await expired.confirm(ids(500), 'a');
    const store = new SqliteDedupeStore(db, { window: 60_000, lease: 60_000, onError });
    await store.claim(ids(1, 1000), 'b');
    expect(rows()).toBe(500 + 1 - 17);
    for (let i = 1; i < 40; i++) await store.claim(ids(1, 1000 + i), 'b');
    expect(rows()).toBe(40);
    await store.close();
  });

  test('a closed store is unavailable', async () => {
    const store = sqliteDedupeStore({ path: folder, window: 1, lease: 1, onError });
    await store.close();
    await expect(store.claim(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    await expect(store.confirm(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
    await expect(store.release(ids(1), 'a')).rejects.toThrow(StoreUnavailable);
  });
});
