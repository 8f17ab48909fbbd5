import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sqliteEventLog } from '../../../src/adapters/sqlite/event-log.ts';
import type { EventLog } from '../../../src/ports/event-log.ts';
import type { LogReader } from '../../../src/ports/log-reader.ts';
import { Collector, collect, record, text } from '../../contracts/collector.ts';
import { eventLogContract } from '../../contracts/event-log.ts';
import { keepAll, makeFolder, openLog } from './setting.ts';

eventLogContract('SQLite', async () => {
  const path = await makeFolder();
  return {
    open: async () => openLog(path),
    destroy: () => rm(path, { recursive: true }),
  };
});

describe('sqliteEventLog', () => {
  let path: string;
  let log: EventLog & LogReader;
  let errors: Error[];

  const open = (retention = keepAll) =>
    sqliteEventLog({ path, retention, onError: (error) => errors.push(error) });
  const many = (topic: string, count: number, size = 0) =>
    Array.from({ length: count }, (_, i) => record(topic, String(i).padEnd(size)));

  beforeEach(async () => {
    path = await makeFolder();
    errors = [];
    log = open();
  });
  afterEach(async () => {
    await log.close();
    await rm(path, { recursive: true });
  });

  test('delivers topics that did not exist when reading began', async () => {
    const { collector } = await collect(log, 'g', ['later']);
    await log.append([record('later', 'x')]);
    expect(await collector.values(1)).toEqual(['x']);
  });

  test('delivers in bounded batches', async () => {
    await log.append([...many('count', 1200), ...many('size', 30, 1024 * 1024)]);
    const batches: Record<string, number[]> = { count: [], size: [] };
    const collector = new Collector();
    collector.onRecords = ({ topic }, records) => batches[topic]!.push(records.length);
    await log.consume({ group: 'g', topics: ['count', 'size'], from: 'earliest' }, collector);
    await collector.values(1230);
    expect(batches.count).toEqual([500, 500, 200]);
    expect(batches.size).toEqual([4, 4, 4, 4, 4, 4, 4, 2]);
  });

  test('gives a topic to one reader of a group; another waits for it', async () => {
    const first = await collect(log, 'g', ['a']);
    const second = new Collector();
    await log.consume({ group: 'g', topics: ['a', 'b'], from: 'earliest' }, second);
    await second.ready(['b']);
    await log.append([record('a', '1'), record('b', '2')]);
    expect(await first.collector.values(1)).toEqual(['1']);
    expect(await second.values(1)).toEqual(['2']);
    await first.consumption.commit(first.collector.positions());
    await first.consumption.stop();
    await second.ready(['a']);
    await log.append([record('a', '3')]);
    expect(await second.values(2)).toEqual(['2', '3']);
  });

  test('a reader cannot commit what it does not hold', async () => {
    const first = await collect(log, 'g', ['a']);
    const second = await log.consume({ group: 'g', topics: ['a'], from: 'earliest' }, new Collector());
    await expect(second.commit([{ topic: 'a', partition: 0, offset: 1 }])).rejects.toThrow('not held');
    await first.consumption.stop();
    await expect(first.consumption.commit([{ topic: 'a', partition: 0, offset: 1 }])).rejects.toThrow(
      'not held',
    );
  });

  test('a reader that never had anything is not asked to give it up', async () => {
    await collect(log, 'g', ['a']);
    const waiting = new Collector();
    const consumption = await log.consume({ group: 'g', topics: ['a'], from: 'earliest' }, waiting);
    await consumption.stop();
    expect(waiting.revocations).toBe(0);
  });

  test('gives its topics up also when that fails, and tells of it', async () => {
    const { collector, consumption } = await collect(log, 'g', ['a']);
    collector.onRevoked = () => Promise.reject(new Error('cannot finish'));
    await expect(consumption.stop()).rejects.toThrow('cannot finish');
    await collect(log, 'g', ['a']);
  });

  test('tells the sink of an error in it, and reads nothing more', async () => {
    const collector = new Collector();
    collector.onRecords = () => {
      throw new Error('broken sink');
    };
    await log.consume({ group: 'g', topics: ['a'], from: 'earliest' }, collector);
    await log.append([record('a', 'x')]);
    await expect(collector.until(() => false)).rejects.toThrow('broken sink');
  });

  test('once closed, appends fail and nobody can read', async () => {
    await log.close();
    expect(await log.append([record('a', 'x')])).toEqual(['failed']);
    expect(log.problem()).toBe('closed');
    await expect(
      log.consume({ group: 'g', topics: ['a'], from: 'latest' }, new Collector()),
    ).rejects.toThrow();
  });

  /** The offset of the oldest record of a topic, which a new group sees first. */
  const oldest = async (topic: string) => {
    const { collector, consumption } = await collect(log, randomUUID(), [topic]);
    await collector.values(1);
    await consumption.stop();
    return collector.seen[0]!.offset;
  };
  const LIMIT = { timeout: 30_000, interval: 1 };

  test('deletes by itself what is too old, tells a group what it missed, and uses no offset again', async () => {
    const { consumption } = await collect(log, 'late', ['a']);
    await consumption.stop();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 7_200_000 });
    await log.append(many('a', 1000));
    vi.useRealTimers();
    await log.append([record('a', 'new')]);
    await log.close();
    log = open({ age: 3_600_000, size: 2 ** 40 });
    await expect.poll(() => oldest('a'), LIMIT).toBe(1000);
    errors = [];
    const late = await collect(log, 'late', ['a']);
    expect(await late.collector.values(1)).toEqual(['new']);
    expect(errors.map((error) => error.message)).toEqual([
      expect.stringContaining('missed 1000 records of topic a'),
    ]);
  });

  test('deletes by itself what is too much', async () => {
    await log.close();
    log = open({ age: 60_000_000, size: 100_000 });
    for (let i = 0; i < 10; i++) await log.append(many('a', 100, 1000));
    await expect.poll(() => oldest('a'), LIMIT).toBeGreaterThanOrEqual(900);
  });

  test('uses no offset again after everything was deleted', async () => {
    await log.append(many('a', 10));
    await log.close();
    log = open({ age: 60_000_000, size: 0 });
    await log.append(many('a', 10));
    await log.append([record('b', 'x')]);
    await log.close();
    log = open();
    await log.append([record('a', 'next')]);
    await expect.poll(() => oldest('a'), LIMIT).toBeLessThanOrEqual(20);
    const { collector } = await collect(log, 'g', ['a']);
    await collector.until(() => collector.seen.some((one) => text(one) === 'next'));
    expect(collector.seen.at(-1)!.offset).toBe(20);
  });

  test('C30 has all that it acknowledged, and no group in part, however it is killed', {
    tags: ['slow'],
  }, async () => {
    await log.close();
    for (let round = 0; round < 8; round++) {
      const writer = await startWriter(path);
      const groups = 3 + round * 4;
      await writer.told((line) => line.startsWith('start') && Number(line.split(' ')[1]) >= groups);
      writer.child.kill('SIGKILL');
      const lines = await writer.ended();
      log = open();
      await checkGroups(log, lines);
      await log.close();
      await rm(path, { recursive: true });
    }
    log = open();
  });

  test('a full disk fails the whole group, is a problem while it lasts, and passes', async () => {
    await log.close();
    const writer = await startWriter(path, 400);
    const told = await writer.told((line) => line.startsWith('problem'));
    expect(told.at(-1)).toMatch(/problem embedded log: .*(disk|full)/);
    expect(told.at(-2)).toMatch(/^failed/);
    await promisify(execFile)('prlimit', ['--pid', String(writer.child.pid), '--fsize=unlimited']);
    writer.child.stdin!.write('go on');
    const lines = await writer.ended();
    expect(lines.at(-1)).toBe('after stored');
    log = open();
    await checkGroups(log, lines);
  });
});

/** A child process that appends; see writer.ts. `blocks` of 512 bytes limit the files that it may write. */
async function startWriter(path: string, blocks?: number) {
  const command = [process.execPath, join(import.meta.dirname, 'writer.ts'), path];
  const limit = blocks === undefined ? '' : `ulimit -S -f ${blocks}; `;
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const closed = once(reader, 'close');
  return {
    child,
    async told(wanted: (line: string) => boolean): Promise<string[]> {
      while (!lines.some(wanted)) await Promise.race([once(reader, 'line'), closed.then(() => fail(lines))]);
      return lines;
    },
    async ended(): Promise<string[]> {
      await closed;
      return lines;
    },
  };
}

function fail(lines: string[]): never {
  throw new Error(`The writer has ended:\n${lines.join('\n')}`);
}

/** Each group told as stored is there, none told as failed, and those that are there are whole. */
async function checkGroups(log: EventLog, lines: string[]): Promise<void> {
  await log.append(['a', 'b'].map((topic) => record(topic, null, null, { end: '' })));
  const { collector } = await collect(log, 'check', ['a', 'b']);
  const ends = () => collector.seen.filter((one) => one.headers.end !== undefined).length;
  await collector.until(() => ends() === 2);
  const found = new Map<string, number>();
  for (const { headers } of collector.seen) {
    const group = headers.group === undefined ? null : `${headers.group} ${headers.size}`;
    if (group !== null) found.set(group, (found.get(group) ?? 0) + 1);
  }
  for (const [group, count] of found) expect(`${group.split(' ')[0]} ${count}`).toBe(group);
  const told = (word: string) =>
    lines.filter((line) => line.startsWith(word)).map((line) => line.split(' ')[1]);
  const groups = new Set([...found.keys()].map((group) => group.split(' ')[0]));
  expect(told('stored').length).toBeGreaterThan(1);
  for (const group of told('stored')) expect(groups).toContain(group);
  for (const group of told('failed')) expect(groups).not.toContain(group);
}
