import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { durable, openDatabase, transaction } from '../../../src/adapters/sqlite/open.ts';

describe('openDatabase', () => {
  const schema = { version: 1, sql: 'CREATE TABLE t (n INTEGER)' };
  let root: string;
  let folder: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'postern-open-'));
    folder = join(root, 'deep', 'folder');
  });
  afterEach(() => rm(root, { recursive: true }));

  test('makes folder and tables once, and keeps what is in them', () => {
    const first = openDatabase(folder, 'x.db', schema);
    first.exec('INSERT INTO t VALUES (1)');
    first.close();
    const second = openDatabase(folder, 'x.db', schema);
    expect(second.prepare('SELECT n FROM t').all()).toEqual([{ n: 1 }]);
    second.close();
  });

  test('is for one process at a time, and says which folder', () => {
    const db = openDatabase(folder, 'x.db', schema);
    const module = join(import.meta.dirname, '../../../src/adapters/sqlite/open.ts');
    const code = `import { openDatabase } from ${JSON.stringify(module)};
      openDatabase(${JSON.stringify(folder)}, 'x.db', { version: 1, sql: '' }).close();`;
    const start = () =>
      spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    const refused = start();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(`Folder ${folder} is in use by another process (x.db)`);
    expect(() => openDatabase(folder, 'x.db', schema)).toThrow('is in use by another process');
    // Another file of the folder is nobody's yet.
    openDatabase(folder, 'y.db', schema).close();
    db.close();
    expect(start()).toMatchObject({ status: 0 });
  });

  test('refuses the format of another version, and a file that is no database', async () => {
    openDatabase(folder, 'x.db', { ...schema, version: 7 }).close();
    expect(() => openDatabase(folder, 'x.db', schema)).toThrow(
      `Folder ${folder} cannot be used: its format is 7, this program knows 1 (x.db)`,
    );
    await writeFile(join(folder, 'z.db'), 'something else'.repeat(100));
    expect(() => openDatabase(folder, 'z.db', schema)).toThrow(/cannot be used: .*not a database \(z\.db\)/);
  });

  test('a transaction happens as a whole or not at all', () => {
    const db = openDatabase(folder, 'x.db', schema);
    const rows = () => db.prepare('SELECT n FROM t').all().length;
    for (const run of [transaction, durable]) {
      const half = () =>
        run(db, () => {
          db.exec('INSERT INTO t VALUES (1)');
          throw new Error('half way');
        });
      expect(half).toThrow('half way');
      expect(rows()).toBe(0);
    }
    expect(durable(db, () => db.exec('INSERT INTO t VALUES (1)'))).toBeUndefined();
    expect(rows()).toBe(1);
    db.close();
  });
});
