import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EventLog, type LogRecord, partitionName } from '../../src/ports/event-log.ts';
import { type AppenderOptions, appenderContract } from './appender.ts';
import { Collector, collect, record } from './collector.ts';

/** One log's storage, where the topics exist. */
export interface LogUnderTest {
  /** Opens the log. At most one is open at a time; each sees the records of those before it. */
  open(): Promise<EventLog>;
  destroy(): Promise<void>;
}

/**
 * What every event log does, as an appender and as a log. `make` gets the names of topics that must exist when it
 * resolves; they may have any number of partitions.
 */
export function eventLogContract(
  name: string,
  make: (topics: string[]) => Promise<LogUnderTest>,
  options: AppenderOptions = {},
): void {
  const { timeout = 60_000 } = options;
  const makeAppender = async (topics: string[]) => {
    const storage = await make(topics);
    const log = await storage.open();
    const destroy = async () => {
      await log.close();
      await storage.destroy();
    };
    return { appender: log, log, destroy };
  };
  appenderContract(name, makeAppender, options);

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

    const store = async (...records: LogRecord[]) =>
      expect(await log.append(records)).toEqual(records.map(() => 'stored'));

    test('has no problem when it can append', async () => {
      await store(record(a, 'x'));
      // It learns of its topics in the background.
      await expect.poll(() => log.problem(), { timeout: 30_000 }).toBeNull();
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
        expect(offset).toBe(first.collector.ends.get(partitionName({ topic, partition })));
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
