import type { DatabaseSync } from 'node:sqlite';
import { StoreUnavailable } from '../../ports/dedupe-store.ts';
import type { StreamPart, WindowChange, WindowStore } from '../../ports/window-store.ts';
import { openDatabase, type Schema, transaction } from './open.ts';

/** `expires` is in ms since 1970. */
const schema: Schema = {
  version: 1,
  sql: `
    CREATE TABLE parts (part TEXT PRIMARY KEY, mark TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (
      part TEXT NOT NULL,
      name TEXT NOT NULL,
      value TEXT NOT NULL,
      PRIMARY KEY (part, name)
    ) WITHOUT ROWID;
  `,
};

/**
 * State of streams in SQLite, in `streams.db` of the folder `path`. Throws when the folder cannot be used. A change
 * survives a crash of the process. Loss of power may undo the newest changes; the stream then reads their events again.
 */
export function sqliteWindowStore({ path }: { path: string }): WindowStore {
  return new SqliteWindowStore(openDatabase(path, 'streams.db', schema));
}

class SqliteWindowStore implements WindowStore {
  readonly #db: DatabaseSync;

  /** Takes over an open database: `close` closes it. */
  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  async load(part: StreamPart): Promise<{ mark: string | null; entries: Map<string, string> }> {
    return this.#try(() => {
      const mark = this.#markOf(nameOf(part), Date.now());
      const rows =
        mark === null
          ? []
          : (this.#db
              .prepare('SELECT name, value FROM entries WHERE part = ?')
              .all(nameOf(part)) as unknown as { name: string; value: string }[]);
      return { mark, entries: new Map(rows.map(({ name, value }) => [name, value])) };
    });
  }

  async change(changes: readonly (StreamPart & WindowChange)[]): Promise<boolean[]> {
    return this.#try(() => transaction(this.#db, () => changes.map((change) => this.#change(change))));
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }

  #change({ entries, expected, mark, life, ...part }: StreamPart & WindowChange): boolean {
    const now = Date.now();
    const name = nameOf(part);
    const held = this.#markOf(name, now);
    if (held !== expected && held !== mark) return false;
    const db = this.#db;
    if (held === expected) {
      if (held === null) db.prepare('DELETE FROM entries WHERE part = ?').run(name);
      const set = db.prepare('INSERT OR REPLACE INTO entries (part, name, value) VALUES (?, ?, ?)');
      const remove = db.prepare('DELETE FROM entries WHERE part = ? AND name = ?');
      for (const [entry, value] of entries) {
        if (value === null) remove.run(name, entry);
        else set.run(name, entry, value);
      }
    }
    db.prepare('INSERT OR REPLACE INTO parts (part, mark, expires) VALUES (?, ?, ?)').run(
      name,
      mark,
      now + life,
    );
    return true;
  }

  /** The mark of a part, null when it has none or has expired. The entries of an expired part go with its next change. */
  #markOf(part: string, now: number): string | null {
    const row = this.#db.prepare('SELECT mark FROM parts WHERE part = ? AND expires > ?').get(part, now);
    return row === undefined ? null : String(row.mark);
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new StoreUnavailable((error as Error).message, { cause: error });
    }
  }
}

function nameOf({ stream, partition }: StreamPart): string {
  return `${stream}/${partition}`;
}
