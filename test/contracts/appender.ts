import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Appender, EventLog, LogRecord } from '../../src/ports/event-log.ts';
import { collect, record, text } from './collector.ts';

/** An appender, and the log in which its records come to be. */
export interface AppenderUnderTest {
  appender: Appender;
  log: EventLog;
  destroy(): Promise<void>;
}

export interface AppenderOptions {
  /** Bytes of a value that makes a record too large. */
  tooLarge?: number;
  /** Milliseconds for one test. */
  timeout?: number;
}

/**
 * What every appender does. `make` gets the names of topics that must exist when it resolves; they may have any number
 * of partitions.
 */
export function appenderContract(
  name: string,
  make: (topics: string[]) => Promise<AppenderUnderTest>,
  { tooLarge = 16 * 1024 * 1024 + 1, timeout = 60_000 }: AppenderOptions = {},
): void {
  describe(`${name} as an appender`, { timeout }, () => {
    let a: string;
    let b: string;
    let group: string;
    let made: AppenderUnderTest;

    beforeEach(async () => {
      const unique = randomUUID();
      [a, b, group] = [`a-${unique}`, `b-${unique}`, `g-${unique}`];
      made = await make([a, b]);
    }, timeout);
    afterEach(() => made.destroy(), timeout);

    const store = async (...records: LogRecord[]) =>
      expect(await made.appender.append(records)).toEqual(records.map(() => 'stored'));
    /** The first `count` records of the topics, by a new group. */
    const read = async (count: number, ...topics: string[]) => {
      const { collector } = await collect(made.log, group, topics);
      await collector.values(count);
      return collector;
    };

    test('appends nothing at all', async () => {
      expect(await made.appender.append([])).toEqual([]);
    });

    test('stores byte for byte what was appended', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const headers = {
        ce_id: 'plain',
        ce_subject: 'grün ✓ 日本 🛰',
        empty: '',
        binary: Uint8Array.of(0, 0xff, 0xc3, 0x28, 10),
      };
      const sent: LogRecord[] = [
        { topic: a, key: null, value: null, headers: {} },
        { topic: a, key: 'schlüssel', value: new Uint8Array(0), headers },
        { topic: a, key: bytes, value: bytes, headers: { ce_id: 'bytes' } },
        { topic: a, key: '', value: Buffer.from('{"n":12345678901234567890}'), headers },
      ];
      const before = Date.now();
      await store(...sent);
      const after = Date.now();
      const { seen } = await read(sent.length, a);
      expect(seen.map(printed).sort()).toEqual(sent.map(printed).sort());
      for (const one of seen) {
        expect(one.topic).toBe(a);
        expect(one.timestamp).toBeGreaterThanOrEqual(before - 60_000);
        expect(one.timestamp).toBeLessThanOrEqual(after + 60_000);
      }
    });

    test('keeps the order of each key, over several appends and topics', async () => {
      const keys = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6'];
      let n = 0;
      for (let round = 0; round < 5; round++) {
        const records = Array.from({ length: 200 }, () =>
          record(n % 3 === 0 ? a : b, String(n), keys[n++ % keys.length]!),
        );
        await store(...records);
      }
      const { seen } = await read(n, a, b);
      expect(seen.length).toBe(n);
      const last = new Map<string, number>();
      const offsets = new Map<string, number>();
      for (const one of seen) {
        const key = `${one.topic} ${Buffer.from(one.key!)}`;
        expect(Number(text(one))).toBeGreaterThan(last.get(key) ?? -1);
        last.set(key, Number(text(one)));
        const partition = `${one.topic} ${one.partition}`;
        expect(one.offset).toBeGreaterThan(offsets.get(partition) ?? -1);
        offsets.set(partition, one.offset);
      }
    });

    test('keeps the order of appends that are made at once, and stores each record once', async () => {
      const appends = Array.from({ length: 50 }, (_, i) =>
        made.appender.append([record(a, `${2 * i}`, 'k'), record(a, `${2 * i + 1}`, 'k')]),
      );
      expect((await Promise.all(appends)).flat()).toEqual(Array(100).fill('stored'));
      const collector = await read(100, a);
      expect(collector.seen.map(text)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
    });

    test('refuses a record that is too large, and only that one', async () => {
      const large = { ...record(a, ''), value: new Uint8Array(tooLarge) };
      const records = [record(a, 'one'), large, record(a, 'two'), record(b, 'three'), large];
      const verdicts = await made.appender.append(records);
      expect(verdicts).toEqual(['stored', 'too_large', 'stored', 'stored', 'too_large']);
      const collector = await read(3, a, b);
      await store(record(a, 'end'));
      expect((await collector.values(4)).sort()).toEqual(['end', 'one', 'three', 'two']);
    });
  });
}

function printed({ key, value, headers }: LogRecord): string {
  const hex = (bytes: string | Uint8Array | null) =>
    bytes === null ? null : Buffer.from(bytes).toString('hex');
  const sorted = Object.entries(headers).sort(([x], [y]) => (x < y ? -1 : 1));
  return JSON.stringify([hex(key), hex(value), sorted.map(([name, bytes]) => [name, hex(bytes)])]);
}
