import { rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { sqliteWindowStore } from '../../../src/adapters/sqlite/window-store.ts';
import { StoreUnavailable } from '../../../src/ports/dedupe-store.ts';
import { windowStoreContract } from '../../contracts/window-store.ts';
import { makeFolder } from './setting.ts';

windowStoreContract('SQLite', async () => {
  const path = await makeFolder();
  return { open: async () => sqliteWindowStore({ path }), destroy: () => rm(path, { recursive: true }) };
});

test('keeps state over a restart, and says when it is closed', async () => {
  const path = await makeFolder();
  const part = { stream: 's', partition: 'a/0' };
  const first = sqliteWindowStore({ path });
  await first.change([{ ...part, entries: new Map([['x', '1']]), expected: null, mark: 'm', life: 60_000 }]);
  await first.close();
  await expect(first.load(part)).rejects.toThrow(StoreUnavailable);
  const second = sqliteWindowStore({ path });
  expect(await second.load(part)).toEqual({ mark: 'm', entries: new Map([['x', '1']]) });
  await second.close();
  await rm(path, { recursive: true });
});
