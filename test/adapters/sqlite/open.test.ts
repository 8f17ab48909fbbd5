import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
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

  const modeOf = async (...path: string[]) => ((await stat(join(root, ...path))).mode & 0o777).toString(8);

  test.each([0o022, 0o000])('folder and files are for their owner alone, with umask %o', async (umask) => {
    // Another process: the umask is one for all that runs in this one.
    const module = join(import.meta.dirname, '../../../src/adapters/sqlite/open.ts');
    const code = `import { openDatabase } from ${JSON.stringify(module)};
      import { readdirSync, statSync } from 'node:fs';
      process.umask(${umask});
      const folder = ${JSON.stringify(folder)};
      const db = openDatabase(folder, 'x.db', { version: 1, sql: 'CREATE TABLE t (n INTEGER)' });
      db.exec('INSERT INTO t VALUES (1)');
      for (const file of readdirSync(folder)) console.log(file, (statSync(folder + '/' + file).mode & 0o777).toString(8));
      db.close();`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    expect(stdout.trim().split('\n').sort()).toEqual(['x.db 600', 'x.db-wal 600']);
    expect([await modeOf('deep'), await modeOf('deep', 'folder')]).toEqual(['700', '700']);
  });

  test('files of an older version are tightened; a folder stays as its owner made it', async () => {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    const first = openDatabase(folder, 'x.db', schema);
    first.exec('INSERT INTO t VALUES (1)');
    // As when its process died: the log of changes is left.
    for (const file of await readdir(folder)) await chmod(join(folder, file), 0o644);
    await writeFile(join(folder, 'x.db-shm'), '', { mode: 0o644 });
    first.close();
    await writeFile(join(folder, 'x.db-wal'), '', { mode: 0o644 });
    const second = openDatabase(folder, 'x.db', schema);
    second.exec('INSERT INTO t VALUES (2)');
    const modes = await Promise.all((await readdir(folder)).map((file) => modeOf('deep', 'folder', file)));
    expect(new Set(modes)).toEqual(new Set(['600']));
    expect(await modeOf('deep', 'folder')).toBe('755');
    second.close();
  });

  test('a second opening in this process leaves the lock of the first', () => {
    const db = openDatabase(folder, 'x.db', schema);
    expect(() => openDatabase(folder, 'x.db', schema)).toThrow('is in use');
    const module = join(import.meta.dirname, '../../../src/adapters/sqlite/open.ts');
    const code = `import { openDatabase } from ${JSON.stringify(module)};
      openDatabase(${JSON.stringify(folder)}, 'x.db', { version: 1, sql: '' }).close();`;
    const other = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    expect(other.stderr).toContain('is in use by another process');
    db.close();
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
