import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StreamPart, WindowChange, WindowStore } from '../../src/ports/window-store.ts';

/** One store's storage. */
export interface WindowStoreUnderTest {
  /** Opens a store on it, ready for use. */
  open(): Promise<WindowStore>;
  destroy(): Promise<void>;
}

/** What every window store does. */
export function windowStoreContract(name: string, make: () => Promise<WindowStoreUnderTest>): void {
  describe(`${name} as a window store`, { timeout: 30_000 }, () => {
    let storage: WindowStoreUnderTest;
    let store: WindowStore;

    beforeEach(async () => {
      storage = await make();
      store = await storage.open();
    });
    afterEach(async () => {
      await store.close();
      await storage.destroy();
    });

    const part = (partition: string): StreamPart => ({ stream: 'spend', partition });
    const change = (
      partition: string,
      expected: string | null,
      mark: string,
      entries: Record<string, string | null> = {},
      life = 60_000,
    ): StreamPart & WindowChange => ({
      ...part(partition),
      expected,
      mark,
      entries: new Map(Object.entries(entries)),
      life,
    });
    const held = async (partition: string) => {
      const { mark, entries } = await store.load(part(partition));
      return { mark, entries: Object.fromEntries(entries) };
    };

    test('nothing is known of a part at first', async () => {
      expect(await held('a/0')).toEqual({ mark: null, entries: {} });
      expect(await store.change([])).toEqual([]);
    });

    test('entries are set, changed and removed with the mark', async () => {
      expect(
        await store.change([change('a/0', null, 'm1', { x: '1', 'ключ\r\n 🔑': 'é\u0001', y: '' })]),
      ).toEqual([true]);
      expect(await held('a/0')).toEqual({ mark: 'm1', entries: { x: '1', 'ключ\r\n 🔑': 'é\u0001', y: '' } });
      expect(await store.change([change('a/0', 'm1', 'm2', { x: '2', y: null, none: null })])).toEqual([
        true,
      ]);
      expect(await held('a/0')).toEqual({ mark: 'm2', entries: { x: '2', 'ключ\r\n 🔑': 'é\u0001' } });
    });

    test('a change for another mark is refused and changes nothing', async () => {
      await store.change([change('a/0', null, 'm1', { x: '1' })]);
      expect(await store.change([change('a/0', null, 'm9', { x: '9' })])).toEqual([false]);
      expect(await store.change([change('a/0', 'm0', 'm9', { x: null })])).toEqual([false]);
      expect(await store.change([change('b/0', 'm1', 'm9', { x: '9' })])).toEqual([false]);
      expect(await held('a/0')).toEqual({ mark: 'm1', entries: { x: '1' } });
      expect(await held('b/0')).toEqual({ mark: null, entries: {} });
    });

    test('a change that was made before is not made again', async () => {
      const first = change('a/0', null, 'm1', { x: '1' });
      expect(await store.change([first])).toEqual([true]);
      expect(await store.change([first])).toEqual([true]);
      expect(await held('a/0')).toEqual({ mark: 'm1', entries: { x: '1' } });
    });

    test('parts are apart, and each has its own verdict', async () => {
      const parts = Array.from({ length: 40 }, (_, i) => change(`t/${i}`, null, `m${i}`, { n: `${i}` }));
      expect(await store.change(parts)).toEqual(parts.map(() => true));
      const next = parts.map((one, i) =>
        change(one.partition, i % 2 === 0 ? one.mark : 'other', 'n', { n: null }),
      );
      expect(await store.change(next)).toEqual(parts.map((_, i) => i % 2 === 0));
      expect(await held('t/6')).toEqual({ mark: 'n', entries: {} });
      expect(await held('t/7')).toEqual({ mark: 'm7', entries: { n: '7' } });
      expect((await store.load({ stream: 'other', partition: 't/7' })).mark).toBeNull();
    });

    test('many entries come back whole', async () => {
      const entries = Object.fromEntries(Array.from({ length: 12_345 }, (_, i) => [`k${i}`, `v${i}`]));
      expect(await store.change([change('a/0', null, 'm1', entries)])).toEqual([true]);
      expect(await held('a/0')).toEqual({ mark: 'm1', entries });
      const gone = Object.fromEntries(Object.keys(entries).map((name) => [name, null]));
      expect(await store.change([change('a/0', 'm1', 'm2', gone)])).toEqual([true]);
      expect(await held('a/0')).toEqual({ mark: 'm2', entries: {} });
    });

    test('a part that nothing changes is forgotten, entries and all', async () => {
      await store.change([change('a/0', null, 'm1', { x: '1', y: '1' }, 1)]);
      await expect.poll(async () => (await store.load(part('a/0'))).mark).toBeNull();
      expect(await store.change([change('a/0', null, 'm2', { x: '2' })])).toEqual([true]);
      expect(await held('a/0')).toEqual({ mark: 'm2', entries: { x: '2' } });
    });
  });
}
