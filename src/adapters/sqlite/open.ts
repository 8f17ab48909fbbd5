import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartError } from '../../core/lifecycle.ts';

export interface Schema {
  /** Rises with every change that an older program cannot read. */
  version: number;
  /** Creates everything in an empty file. */
  sql: string;
}

const BUSY = 5;
/** Events and ids are personal data: nobody but the user of this process reads them. */
const OWN_FOLDER = 0o700;
const OWN_FILE = 0o600;

/**
 * Opens `folder/file`, both created when missing, for this process alone: whoever opens it as well gets an
 * error that names the folder, and so does who meets another version's file. The lock is the kernel's, so
 * that it ends with the process. A commit survives the death of the process; see `durable` for power loss.
 */
export function openDatabase(folder: string, file: string, schema: Schema): DatabaseSync {
  // A folder that is there already stays as its owner made it.
  mkdirSync(folder, { recursive: true, mode: OWN_FOLDER });
  keepToOwner(join(folder, file));
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

/** Makes the file when it is missing, for its owner alone, and tightens what an older version made. SQLite gives its `-wal` and `-shm` the same rights. */
function keepToOwner(file: string): void {
  try {
    // Only a new file is opened: to close one ends the locks that this process may have on it.
    closeSync(openSync(file, 'wx', OWN_FILE));
  } catch (error) {
    // Where no file can be made, SQLite says why.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return;
    for (const one of [file, `${file}-wal`, `${file}-shm`]) {
      try {
        chmodSync(one, OWN_FILE);
      } catch {
        // It is not there, or somebody else's.
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
