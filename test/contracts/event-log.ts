import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventLog, LogRecord } from '../../src/ports/event-log.ts';
import { Collector, collect, text } from './collector.ts';

/** One log's storage, where the topics exist. */
export interface LogUnderTest {
  /** Opens the log. At most one is open at a time; each sees what those before it stored. */
  open(): Promise<EventLog>;
  destroy(): Promise<void>;
}

export interface EventLogOptions {
  /** Bytes of a value that makes a record too large. */
  tooLarge?: number;
  /** Milliseconds for one test. */
  timeout?: number;
}

/**
 * What every event log does. `make` gets the names of topics that must exist when it resolves; they may
 * have any number of partitions.
 */
export function eventLogContract(
  name: string,
  make: (topics: string[]) => Promise<LogUnderTest>,
  { tooLarge = 16 * 1024 * 1024 + 1, timeout = 60_000 }: EventLogOptions = {},
): void {
  describe(`${name} as an event log`, { timeout }, () => {
    let a: string;
    let b: string;
    let group: string;
    let storage: LogUnderTest;
    let log: EventLog;

    beforeEach(async () => {
      const unique = randomUUID();
      a = `a-${unique}`;
      b = `b-${unique}`;
      group = `g-${unique}`;
      storage = await make([a, b]);
      log = await storage.open();
    }, timeout);

    afterEach(async () => {
      await log.close();
      await storage.destroy();
    }, timeout);

    const record = (topic: string, value: string, key: string | null = null): LogRecord => ({
      topic,
      key,
      value: Buffer.from(value),
      headers: {},
    });
    const store = async (...records: LogRecord[]) =>
      expect(await log.append(records)).toEqual(records.map(() => 'stored'));

    test('has no problem when it can append, and appends nothing at all', async () => {
      await store(record(a, 'x'));
      expect(log.problem()).toBeNull();
      expect(await log.append([])).toEqual([]);
    });

    test('gives back byte for byte what was appended', async () => {
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
      const { collector } = await collect(log, group, [a]);
      await collector.values(sent.length);
      expect(collector.seen.map(printed).sort()).toEqual(sent.map(printed).sort());
      for (const one of collector.seen) {
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
      const { collector } = await collect(log, group, [a, b]);
      await collector.values(n);
      expect(collector.seen.length).toBe(n);
      const last = new Map<string, number>();
      const offsets = new Map<string, number>();
      for (const one of collector.seen) {
        const place = `${one.topic} ${Buffer.from(one.key!)}`;
        expect(Number(text(one))).toBeGreaterThan(last.get(place) ?? -1);
        last.set(place, Number(text(one)));
        const partition = `${one.topic} ${one.partition}`;
        expect(one.offset).toBeGreaterThan(offsets.get(partition) ?? -1);
        offsets.set(partition, one.offset);
      }
    });

    test('refuses a record that is too large, and that one alone', async () => {
      const large = { ...record(a, ''), value: new Uint8Array(tooLarge) };
      const verdicts = await log.append([
        record(a, 'one'),
        large,
        record(a, 'two'),
        record(b, 'three'),
        large,
      ]);
      expect(verdicts).toEqual(['stored', 'too_large', 'stored', 'stored', 'too_large']);
      const { collector } = await collect(log, group, [a, b]);
      await collector.values(3);
      await store(record(a, 'end'));
      expect((await collector.values(4)).sort()).toEqual(['end', 'one', 'three', 'two']);
    });

    test('shows every record to each of two groups', async () => {
      await store(record(a, 'old'));
      const first = await collect(log, group, [a]);
      const second = await collect(log, `${group}-2`, [a]);
      await store(record(a, 'new'));
      expect((await first.collector.values(2)).sort()).toEqual(['new', 'old']);
      expect((await second.collector.values(2)).sort()).toEqual(['new', 'old']);
    });

    test('goes on exactly at the committed position, also after a restart', async () => {
      await store(...['0', '1', '2', '3', '4'].map((value) => record(a, value, 'k')));
      const first = await collect(log, group, [a]);
      await first.collector.values(5);
      const third = first.collector.seen[2]!;
      await first.consumption.commit([{ topic: a, partition: third.partition, offset: third.offset + 1 }]);
      await first.consumption.stop();

      const second = await collect(log, group, [a]);
      expect(await second.collector.values(2)).toEqual(['3', '4']);
      await log.close();

      log = await storage.open();
      const last = await collect(log, group, [a]);
      expect(await last.collector.values(2)).toEqual(['3', '4']);
    });

    test('delivers again what was not committed', async () => {
      await store(record(a, '0', 'k'), record(a, '1', 'k'));
      const first = await collect(log, group, [a]);
      await first.collector.values(2);
      await first.consumption.stop();
      const second = await collect(log, group, [a]);
      expect(await second.collector.values(2)).toEqual(['0', '1']);
    });

    test('delivers nothing of a paused partition until it is resumed', async () => {
      await store(record(a, 'a0', 'k'));
      const { collector, consumption } = await collect(log, group, [a, b]);
      await collector.values(1);
      const held = [...collector.partitions.values()].filter((one) => one.topic === a);
      consumption.pause(held);
      await store(record(a, 'a1', 'k'));
      await store(record(b, 'b0', 'k'));
      expect(await collector.values(2)).toEqual(['a0', 'b0']);
      consumption.resume(held);
      expect(await collector.values(3)).toEqual(['a0', 'b0', 'a1']);
    });

    test('may be paused from inside a delivery', async () => {
      const { collector, consumption } = await collect(log, group, [a]);
      collector.onRecords = (partition) => {
        consumption.pause([partition]);
        setImmediate(() => consumption.resume([partition]));
      };
      for (let i = 0; i < 20; i++) await store(record(a, String(i), 'k'));
      expect(await collector.values(20)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    });

    test('starts a new group at the newest record with `latest`', async () => {
      await store(record(a, 'old', 'k'));
      const { collector } = await collect(log, group, [a], 'latest');
      await store(record(a, 'new', 'k'));
      expect(await collector.values(1)).toEqual(['new']);
    });

    test('C50 misses nothing that came after the first start, though nothing was ever committed', async () => {
      await store(record(a, 'old', 'k'));
      const first = await collect(log, group, [a, b], 'latest');
      await first.consumption.stop();
      await store(record(a, '1', 'k'), record(a, '2', 'k'), record(b, '3', 'k'));
      const second = await collect(log, group, [a, b], 'latest');
      expect((await second.collector.values(3)).sort()).toEqual(['1', '2', '3']);
    });

    test('awaits `revoked` before `stop` resolves, and stores what is committed inside it', async () => {
      await store(record(a, '0', 'k'), record(a, '1', 'k'));
      const { collector, consumption } = await collect(log, group, [a]);
      await collector.values(2);
      let committed = false;
      collector.onRevoked = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        await consumption.commit(collector.positions());
        committed = true;
      };
      await consumption.stop();
      expect(committed).toBe(true);
      expect(collector.revocations).toBe(1);
      await store(record(a, '2', 'k'));
      const second = await collect(log, group, [a]);
      expect(await second.collector.values(1)).toEqual(['2']);
    });

    test('C49 has no lag after a drained stop, and delivers nothing twice on a clean restart', async () => {
      const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
      await store(...keys.map((key) => record(a, key, key)));
      const first = await collect(log, group, [a]);
      await first.collector.values(keys.length);
      for (const { topic, partition, offset } of first.collector.positions()) {
        expect(offset).toBe(first.collector.ends.get(`${topic}/${partition}`));
      }
      await first.consumption.commit(first.collector.positions());
      await first.consumption.stop();
      const second = await collect(log, group, [a]);
      await store(...keys.map((key) => record(a, `again ${key}`, key)));
      const values = await second.collector.values(keys.length);
      expect(values.every((value) => value.startsWith('again '))).toBe(true);
    });

    test('lets the next reader of a group take over where the one before stopped', async () => {
      const first = await collect(log, group, [a]);
      await store(record(a, '0', 'k'));
      await first.collector.values(1);
      await first.consumption.commit(first.collector.positions());
      const next = new Collector();
      const consumption = await log.consume({ group, topics: [a], from: 'earliest' }, next);
      await first.consumption.stop();
      await next.ready([a]);
      await store(record(a, '1', 'k'));
      expect(await next.values(1)).toEqual(['1']);
      await consumption.stop();
    });

    test('ends a reading that is not wanted any more before it has begun', async () => {
      const stopping = new AbortController();
      const unwanted = new Collector();
      const options = { group, topics: [a], from: 'earliest' as const };
      const consuming = log.consume({ ...options, signal: stopping.signal }, unwanted);
      stopping.abort();
      await (await consuming).stop();
      await store(record(a, '0', 'k'));
      const { collector } = await collect(log, group, [a]);
      expect(await collector.values(1)).toEqual(['0']);
      expect(unwanted.ends.size).toBe(0);
    });

    test('reads on while records keep coming, and nothing twice', async () => {
      const { collector, consumption } = await collect(log, group, [a]);
      for (let round = 0; round < 20; round++) {
        await store(...Array.from({ length: 50 }, (_, i) => record(a, `${round}:${i}`, `k${i % 5}`)));
        if (round % 5 === 4) await consumption.commit(collector.positions());
      }
      const values = await collector.values(1000);
      expect(new Set(values).size).toBe(1000);
      expect(values.length).toBe(1000);
    });

    test('stops its readers when it is closed, and `revoked` may still commit', async () => {
      await store(record(a, '0', 'k'));
      const { collector, consumption } = await collect(log, group, [a]);
      await collector.values(1);
      collector.onRevoked = () => consumption.commit(collector.positions());
      await log.close();
      expect(collector.revocations).toBe(1);

      log = await storage.open();
      const second = await collect(log, group, [a]);
      await store(record(a, '1', 'k'));
      expect(await second.collector.values(1)).toEqual(['1']);
    });

    test('may be closed and stopped twice', async () => {
      const { consumption } = await collect(log, group, [a]);
      await consumption.stop();
      await expect(consumption.stop()).resolves.toBeUndefined();
      await log.close();
      await expect(log.close()).resolves.toBeUndefined();
    });
  });
}

function printed({ key, value, headers }: LogRecord): string {
  const hex = (bytes: string | Uint8Array | null) =>
    bytes === null ? null : Buffer.from(bytes).toString('hex');
  const sorted = Object.entries(headers).sort(([x], [y]) => (x < y ? -1 : 1));
  return JSON.stringify([hex(key), hex(value), sorted.map(([name, bytes]) => [name, hex(bytes)])]);
}
