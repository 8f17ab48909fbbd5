import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartError } from '../../core/lifecycle.ts';

export interface Schema {
  /** A higher number for each format that an older program cannot read. */
  version: number;
  /** Creates everything in an empty file. */
  sql: string;
}

const BUSY = 5;
/** Events and ids are personal data: only the user of this process may read them. */
const OWN_FOLDER = 0o700;
const OWN_FILE = 0o600;

/**
 * Opens `folder/file` for this process alone; both are created when missing. Throws a StartError that names the folder when
 * another process has it open, when the format is another version's, or when it cannot be used. The lock is the
 * kernel's: it ends with the process. A commit survives the death of the process; see `durable` for loss of power.
 */
export function openDatabase(folder: string, file: string, schema: Schema): DatabaseSync {
  // An existing folder keeps its mode.
  mkdirSync(folder, { recursive: true, mode: OWN_FOLDER });
  keepToOwner(join(folder, file));
  // The process before this one may be closing it.
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

/**
 * Creates a missing file for its owner alone, and takes others' rights from files that an older version made. SQLite
 * gives its `-wal` and `-shm` files the same mode.
 */
function keepToOwner(file: string): void {
  try {
    // Only a new file is opened: closing a file ends all locks that this process has on it (POSIX).
    closeSync(openSync(file, 'wx', OWN_FILE));
  } catch (error) {
    // Other errors come from SQLite, too, which says more.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return;
    for (const one of [file, `${file}-wal`, `${file}-shm`]) {
      try {
        chmodSync(one, OWN_FILE);
      } catch {
        // It does not exist, or has another owner.
      }
    }
  }
}

function prepareSchema(db: DatabaseSync, { version, sql }: Schema): void {
  const found = Number(db.prepare('PRAGMA user_version').get()!.user_version);
  if (found === version) return;
  if (found !== 0) throw new Error(`its format is ${found}, this program knows ${version}`);
  db.exec(sql);
  db.exec(`PRAGMA user_version = ${version}`);
}

/** Runs `work` in a transaction. When it throws, nothing of it is kept and the error is thrown on. */
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

/** Like `transaction`, and on disk (fsync) when it returns: it survives loss of power, too. */
export function durable<T>(db: DatabaseSync, work: () => T): T {
  db.exec('PRAGMA synchronous = FULL');
  try {
    return transaction(db, work);
  } finally {
    db.exec('PRAGMA synchronous = NORMAL');
  }
}
