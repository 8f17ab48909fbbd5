import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { StartError } from '../../core/lifecycle.ts';
import { openDatabase, type Schema } from './open.ts';

const schema: Schema = {
  version: 1,
  sql: `
    CREATE TABLE records (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      topic TEXT NOT NULL,
      bytes INTEGER NOT NULL,
      key BLOB,
      headers TEXT NOT NULL,
      value BLOB
    );
    CREATE INDEX by_topic ON records (topic, id);
  `,
};
/** Error codes of SQLite. */
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** Opens `spool.db`. A damaged file is renamed, `onDamage` gets its new name, and a new file is made. Throws StartError. */
export function openSpoolDatabase(
  folder: string,
  onDamage: (aside: string, error: Error) => void,
): DatabaseSync {
  try {
    const db = openDatabase(folder, 'spool.db', schema);
    const [check] = db.prepare('PRAGMA quick_check(1)').all();
    if (check?.quick_check === 'ok') return db;
    db.close();
    throw new StartError(`spool.db is damaged: ${check?.quick_check}`);
  } catch (error) {
    if (!isDamage(error as Error)) throw error;
    const aside = join(folder, `spool.damaged-${Date.now()}.db`);
    for (const suffix of ['', '-wal', '-shm']) {
      try {
        renameSync(join(folder, `spool.db${suffix}`), `${aside}${suffix}`);
      } catch {
        // SQLite does not always leave all three.
      }
    }
    onDamage(aside, error as Error);
    return openDatabase(folder, 'spool.db', schema);
  }
}

function isDamage(error: Error): boolean {
  const code = (error.cause as { errcode?: number } | undefined)?.errcode;
  return code === CORRUPT || code === NOT_A_DATABASE || error.message.includes('is damaged');
}
