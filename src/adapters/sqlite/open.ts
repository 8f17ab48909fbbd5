import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartError } from '../../lifecycle.ts';

export interface Schema {
  /** Rises with every change that an older program cannot read. */
  version: number;
  /** Creates everything in an empty file. */
  sql: string;
}

const BUSY = 5;

/**
 * Opens `folder/file`, both created when missing, for this process alone: whoever opens it as well gets an
 * error that names the folder, and so does who meets another version's file. The lock is the kernel's, so
 * that it ends with the process. A commit survives the death of the process; see `durable` for power loss.
 */
export function openDatabase(folder: string, file: string, schema: Schema): DatabaseSync {
  mkdirSync(folder, { recursive: true });
  // The one before us may just be closing.
  const db = new DatabaseSync(join(folder, file), { timeout: 1_000 });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = NORMAL');
    db.exec('PRAGMA journal_size_limit = 67108864');
    transaction(db, () => prepareSchema(db, schema));
    return db;
  } catch (error) {
    db.close();
    const busy = (error as { errcode?: number }).errcode === BUSY;
    const why = busy ? 'is in use by another process' : `cannot be used: ${(error as Error).message}`;
    throw new StartError(`Folder ${folder} ${why} (${file})`, { cause: error });
  }
}

function prepareSchema(db: DatabaseSync, { version, sql }: Schema): void {
  const found = Number(db.prepare('PRAGMA user_version').get()!.user_version);
  if (found === version) return;
  if (found !== 0) throw new Error(`its format is ${found}, this program knows ${version}`);
  db.exec(sql);
  db.exec(`PRAGMA user_version = ${version}`);
}

/** Runs `work` in a transaction: all of it happens, or nothing and its error is thrown. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    // Some errors, such as a full disk, have rolled back already.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The same, and on disk (fsync) when it returns: it survives loss of power too. */
export function durable<T>(db: DatabaseSync, work: () => T): T {
  db.exec('PRAGMA synchronous = FULL');
  try {
    return transaction(db, work);
  } finally {
    db.exec('PRAGMA synchronous = NORMAL');
  }
}
