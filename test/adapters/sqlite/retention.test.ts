import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/adapters/sqlite/open.ts';
import { retain } from '../../../src/adapters/sqlite/retention.ts';
import { toRow } from '../../../src/adapters/sqlite/rows.ts';
import { schema, Tables } from '../../../src/adapters/sqlite/tables.ts';

describe('retain', () => {
  let folder: string;
  let db: DatabaseSync;
  let tables: Tables;
  const never = { age: 2 ** 40, size: 2 ** 40 };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-retention-'));
    db = openDatabase(folder, 'log.db', schema);
    tables = new Tables(db);
  });
  afterEach(async () => {
    db.close();
    await rm(folder, { recursive: true });
  });

  /** Adds records, whose size is `size` and two bytes for no headers. */
  const add = (name: string, count: number, timestamp: number, size: number) => {
    const topic = tables.topic(name);
    const row = toRow({ topic: name, key: null, value: new Uint8Array(size), headers: {} });
    for (let i = 0; i < count; i++) {
      tables.insert(topic, topic.next++, timestamp, row);
      topic.bytes += row.bytes;
    }
    tables.saveTopic(topic);
  };
  const left = () =>
    Object.fromEntries([...tables.topics.values()].map((topic) => [topic.name, topic.next - topic.first]));
  const rows = () => Number(db.prepare('SELECT count(*) AS n FROM records').get()!.n);

  test('leaves alone what is young and little enough', () => {
    expect(retain(db, tables, never)).toBe(false);
    add('a', 10, Date.now(), 98);
    expect(retain(db, tables, { age: 60_000, size: 1000 })).toBe(false);
    expect(rows()).toBe(10);
  });

  test('deletes what is too old, a few records a step', () => {
    add('a', 500, Date.now() - 120_000, 10);
    add('a', 5, Date.now(), 10);
    add('b', 50, Date.now() - 120_000, 10);
    const steps = [];
    for (let before = rows(); retain(db, tables, { ...never, age: 60_000 }); before = rows())
      steps.push(before - rows());
    expect(steps).toEqual([200, 200, 100, 50]);
    expect(left()).toEqual({ a: 5, b: 0 });
    expect(tables.topic('a')).toMatchObject({ first: 500, next: 505, bytes: 60 });
    // A new look at the file agrees.
    expect(new Tables(db).topics).toEqual(tables.topics);
  });

  test('deletes the oldest of all topics when there is too much, a few bytes a step', () => {
    add('a', 12, Date.now() - 4000, 400 * 1024 - 2);
    add('b', 10, Date.now() - 3000, 400 * 1024 - 2);
    add('a', 10, Date.now() - 2000, 400 * 1024 - 2);
    const steps = [];
    const size = 15 * 400 * 1024;
    for (let before = rows(); retain(db, tables, { ...never, size }); before = rows())
      steps.push(before - rows());
    expect(Math.max(...steps)).toBe(3);
    expect(left()).toEqual({ a: 10, b: 5 });
    expect(tables.bytes).toBe(size);
  });

  test('deletes everything when nothing may stay, and counts on', () => {
    add('a', 3, Date.now() - 1000, 10);
    while (retain(db, tables, { ...never, size: 0 }));
    expect(rows()).toBe(0);
    expect(tables.topic('a')).toMatchObject({ first: 3, next: 3, bytes: 0 });
  });
});
