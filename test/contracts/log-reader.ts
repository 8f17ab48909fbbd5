import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventLog, LogRecord, StoredRecord } from '../../src/ports/event-log.ts';
import type { LogReader, Range } from '../../src/ports/log-reader.ts';
import { collect, text } from './collector.ts';
import { nextMillisecond } from './next-millisecond.ts';

/** A log, and a reader of the same storage. */
export interface ReaderUnderTest {
  log: EventLog;
  reader: LogReader;
  destroy(): Promise<void>;
}

/** What every reader of a log does. `make` gets the names of topics that must exist when it resolves. */
export function logReaderContract(name: string, make: (topics: string[]) => Promise<ReaderUnderTest>): void {
  describe(`${name} as a log that is read`, { timeout: 60_000 }, () => {
    let topic: string;
    let made: ReaderUnderTest;

    beforeEach(async () => {
      topic = `r-${randomUUID()}`;
      made = await make([topic]);
    }, 60_000);

    afterEach(async () => {
      await made.log.close();
      await made.destroy();
    }, 60_000);

    const record = (value: string, key: string | null = value): LogRecord => ({
      topic,
      key,
      value: Buffer.from(value),
      headers: { name: 'grün' },
    });
    const store = async (...values: string[]) =>
      expect(await made.log.append(values.map((value) => record(value)))).toEqual(values.map(() => 'stored'));
    const all = async (ranges: Range[]): Promise<StoredRecord[]> => {
      const seen: StoredRecord[] = [];
      await made.reader.read(ranges, async (records) => {
        seen.push(...records);
        return true;
      });
      return seen;
    };
    const values = async (ranges: Range[]) => (await all(ranges)).map(text);

    test('reads all that is there now, each partition in order, and leaves no trace', async () => {
      const sent = Array.from({ length: 1_500 }, (_, i) => `v${i}`);
      await store(...sent);
      const ranges = await made.reader.ranges(topic);
      await store('later');
      const seen = await all(ranges);
      expect(seen.map(text).sort()).toEqual([...sent].sort());
      expect(ranges.reduce((sum, { from, end }) => sum + end - from, 0)).toBe(sent.length);
      expect(ranges.map(({ partition }) => partition)).toEqual(ranges.map((_, i) => i));
      const last = new Map<number, number>();
      for (const { partition, offset, topic: from, headers } of seen) {
        expect(offset).toBeGreaterThan(last.get(partition) ?? -1);
        last.set(partition, offset);
        expect([from, Buffer.from(headers.name!).toString()]).toEqual([topic, 'grün']);
      }
    });

    test('reads one record by its place', async () => {
      await store('a', 'b', 'c');
      const found = (await all(await made.reader.ranges(topic))).find((one) => text(one) === 'b')!;
      const { partition, offset } = found;
      expect(await all([{ topic, partition, from: offset, end: offset + 1 }])).toEqual([found]);
    });

    test('stops when the sink wants no more', async () => {
      await store('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
      let batches = 0;
      await made.reader.read(await made.reader.ranges(topic), async () => {
        batches++;
        return false;
      });
      expect(batches).toBe(1);
    });

    test('rejects with what the sink throws', async () => {
      await store('a');
      const read = made.reader.read(await made.reader.ranges(topic), async () => {
        throw new Error('broken sink');
      });
      await expect(read).rejects.toThrow('broken sink');
    });

    test('has nothing of an empty topic or of one that is not there, which it does not make', async () => {
      expect(await values(await made.reader.ranges(topic))).toEqual([]);
      const missing = `none-${randomUUID()}`;
      expect(await made.reader.ranges(missing)).toEqual([]);
      expect(await made.reader.ranges(missing)).toEqual([]);
    });

    test('begins at a time, and so does a group that has no position yet', async () => {
      await store('old 1', 'old 2');
      const time = await nextMillisecond();
      await nextMillisecond();
      await store('new 1', 'new 2');
      expect((await values(await made.reader.ranges(topic, time))).sort()).toEqual(['new 1', 'new 2']);
      expect(await values(await made.reader.ranges(topic, Date.now() + 60_000))).toEqual([]);
      expect((await values(await made.reader.ranges(topic, 0))).length).toBe(4);
      const group = `g-${randomUUID()}`;
      const { collector, consumption } = await collect(made.log, group, [topic], { time });
      expect((await collector.values(2)).sort()).toEqual(['new 1', 'new 2']);
      await consumption.stop();
      // Its first position is stored at once: another time changes nothing.
      const again = await collect(made.log, group, [topic], { time: 0 });
      expect((await again.collector.values(2)).sort()).toEqual(['new 1', 'new 2']);
    });

    test('a topic may start elsewhere than the others', async () => {
      await store('old');
      const other = collect(made.log, `g-${randomUUID()}`, [topic], 'latest', { [topic]: 'earliest' });
      const { collector } = await other;
      expect(await collector.values(1)).toEqual(['old']);
      const begins = collector.begins.get(`${topic}/${collector.seen[0]!.partition}`);
      expect(begins).toBe(collector.seen[0]!.offset);
    });
  });
}
