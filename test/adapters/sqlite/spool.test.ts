import { copyFileSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sqliteEventLog } from '../../../src/adapters/sqlite/event-log.ts';
import { Spool, type SpoolOptions } from '../../../src/adapters/sqlite/spool.ts';
import { SpoolFile } from '../../../src/adapters/sqlite/spool-file.ts';
import type { AppendVerdict, EventLog, LogRecord } from '../../../src/ports/event-log.ts';
import type { LogReader } from '../../../src/ports/log-reader.ts';
import { appenderContract } from '../../contracts/appender.ts';
import { text } from '../../contracts/collector.ts';
import { readTopic } from '../../contracts/read-topic.ts';
import { makeFolder, onError, openLog } from './setting.ts';

const record = (value: string, key: string | null = null): LogRecord => ({
  topic: 't',
  key,
  value: Buffer.from(value),
  headers: { ce_id: value },
});

describe('the spool', () => {
  let folder: string;
  let log: EventLog & LogReader;
  /** What the log does with the next appends: take them, refuse them, or answer when `answer` is called. */
  let mode: 'take' | 'refuse' | 'hang' | 'too_large';
  let answer: () => void;
  let spool: Spool;
  let file: SpoolFile;
  const lines: string[] = [];

  /** A real log that can be made to fail. */
  const faulty = (): EventLog => ({
    consume: (options, sink) => log.consume(options, sink),
    problem: () => (mode === 'take' ? null : 'is away'),
    close: () => log.close(),
    async append(records) {
      if (mode === 'refuse') return records.map((): AppendVerdict => 'failed');
      if (mode === 'too_large' && records[0]!.topic === 't')
        return records.map((): AppendVerdict => 'too_large');
      if (mode === 'hang') {
        const { promise, resolve } = Promise.withResolvers<void>();
        answer = resolve;
        await promise;
      }
      return log.append(records);
    },
  });

  const open = (options: Partial<SpoolOptions> = {}) => {
    file = new SpoolFile(folder, (aside) => lines.push(`damaged ${aside}`));
    spool = new Spool({
      log: faulty(),
      file,
      after: 100,
      max: 1_000_000,
      tooLarge: ({ topic, headers }) => ({ topic: `${topic}.rejected`, key: null, value: null, headers }),
      onLog: (level, message) => lines.push(`${level} ${message}`),
      ...options,
    });
  };
  const records = (topic = 't') => readTopic(log, topic);
  const read = async () => (await records()).map(text);
  const emptied = () => vi.waitFor(() => expect(spool.events).toBe(0), { timeout: 10_000, interval: 10 });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-spool-'));
    log = sqliteEventLog({ path: folder, retention: { age: 1e9, size: 1e9 }, onError: () => {} });
    mode = 'take';
    lines.length = 0;
    open();
  });
  afterEach(async () => {
    mode = 'take';
    await spool.close(5_000);
    await log.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('passes records to the log while it takes them', async () => {
    expect(await spool.append([record('a'), record('b')])).toEqual(['stored', 'stored']);
    expect(spool.events).toBe(0);
    expect(await read()).toEqual(['a', 'b']);
  });

  test('keeps what the log refuses, queues the later behind it, and forwards all in order', async () => {
    mode = 'refuse';
    expect(await spool.append([record('a', 'k')])).toEqual(['stored']);
    expect(spool.problem()).toBeNull();
    mode = 'take';
    expect(await spool.append([record('b', 'k'), record('c', 'k')])).toEqual(['stored', 'stored']);
    await emptied();
    expect(await spool.append([record('d', 'k')])).toEqual(['stored']);
    expect(await read()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('marks as unchecked what the log may have stored, and nothing else', async () => {
    mode = 'refuse';
    await spool.append([record('a')]);
    await spool.append([record('b')]);
    mode = 'take';
    await emptied();
    const marks = (await records()).map(({ headers }) => text({ value: headers.ce_dedupe ?? null }));
    expect(marks).toEqual(['unchecked', 'null']);
  });

  test('marks as unchecked what a process before may have forwarded already', async () => {
    mode = 'refuse';
    await spool.append([record('a')]);
    await spool.append([record('b')]);
    await spool.close(0);
    mode = 'take';
    open();
    await emptied();
    await spool.append([record('c')]);
    const marks = (await records()).map(({ headers }) => text({ value: headers.ce_dedupe ?? null }));
    expect(marks).toEqual(['unchecked', 'unchecked', 'null']);
  });

  test('answers in time for a log that hangs, and forwards nothing that it stores in the end', async () => {
    mode = 'hang';
    expect(await spool.append([record('a')])).toEqual(['stored']);
    expect(spool.events).toBe(1);
    mode = 'take';
    answer();
    await emptied();
    expect(await read()).toEqual(['a']);
  });

  test('survives the end of its process, and forwards after the next start', async () => {
    mode = 'refuse';
    await spool.append([record('a'), record('b')]);
    await spool.close(0);
    mode = 'take';
    open();
    await emptied();
    expect(await read()).toEqual(['a', 'b']);
  });

  test('refuses when it is full, with nothing half-written, and takes again after it has been emptied', async () => {
    await spool.close(0);
    open({ max: 400 });
    mode = 'refuse';
    expect(await spool.append([record('a')])).toEqual(['stored']);
    const big = [record('b'), record('x'.repeat(400))];
    expect(await spool.append(big)).toEqual(['failed', 'failed']);
    expect(spool.problem()).toMatch(/no room: the limit is 400 bytes/);
    // Also after the time when it tries again whether there is room.
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 60_000);
    expect(spool.problem()).toMatch(/no room: the limit is 400 bytes/);
    clock.mockRestore();
    mode = 'take';
    await emptied();
    expect(spool.problem()).toBeNull();
    expect(await spool.append([record('c')])).toEqual(['stored']);
    expect(await read()).toEqual(['a', 'c']);
  });

  test('sends what the log finds too large to the rejected topic', async () => {
    mode = 'refuse';
    await spool.append([record('a')]);
    mode = 'too_large';
    await emptied();
    const [rejected] = await records('t.rejected');
    expect(rejected!.value).toBeNull();
    expect(text({ value: rejected!.headers.ce_id ?? null })).toBe('a');
  });

  test('counts right when some of a batch were removed before the whole was', async () => {
    await spool.close(0);
    file = new SpoolFile(folder, () => {});
    const added = file.add('t', [record('a'), record('b'), record('c')], 1e6)!;
    file.remove('t', [added[1]!]);
    file.removeFirst('t', added.slice(0, 2));
    expect([file.events, file.bytes]).toEqual([1, added[2]!.bytes]);
    file.removeFirst('t', added);
    expect([file.events, file.bytes, file.topics]).toEqual([0, 0, []]);
    file.close();
    open();
  });

  test('starts with what is whole of a write-ahead file that was torn', async () => {
    mode = 'refuse';
    await spool.append([record('a')]);
    await spool.append([record('b')]);
    await spool.close(0);
    file = new SpoolFile(folder, () => {});
    file.add('t', [record('c')], 1e6);
    const wal = join(folder, 'spool.db-wal');
    // As if the machine had stopped in the middle of the last write.
    const copy = join(folder, 'copy');
    mkdirSync(copy);
    copyFileSync(join(folder, 'spool.db'), join(copy, 'spool.db'));
    copyFileSync(wal, join(copy, 'spool.db-wal'));
    truncateSync(join(copy, 'spool.db-wal'), statSync(wal).size - 100);
    const torn = new SpoolFile(copy, () => {});
    expect(torn.events).toBe(2);
    torn.close();
    file.close();
    mode = 'take';
    open();
  });

  test('puts a damaged file aside and goes on with a new one', async () => {
    await spool.close(0);
    writeFileSync(
      join(folder, 'spool.db'),
      'this is no database, but long enough to be taken for one'.repeat(100),
    );
    open();
    expect(lines.some((line) => line.startsWith('damaged'))).toBe(true);
    expect(readdirSync(folder).some((name) => name.startsWith('spool.damaged-'))).toBe(true);
    mode = 'refuse';
    expect(await spool.append([record('a')])).toEqual(['stored']);
  });
});

appenderContract('The spool before a log', async () => {
  const path = await makeFolder();
  const log = openLog(path);
  const spool = new Spool({
    ...{ log, after: 5_000, max: 1_000_000 },
    file: new SpoolFile(path, (_, error) => onError(error)),
    tooLarge: (one) => one,
    onLog() {},
  });
  const destroy = async () => {
    await spool.close(0);
    await log.close();
    await rm(path, { recursive: true });
  };
  return { appender: spool, log, destroy };
});
