import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import { openDatabase, type Schema, transaction } from './open.ts';

/** `owner` is null in the row of a confirmed id. `expires` is in ms since 1970. */
const schema: Schema = {
  version: 1,
  sql: `
    CREATE TABLE ids (
      key TEXT PRIMARY KEY,
      owner TEXT,
      print INTEGER NOT NULL,
      expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX ids_by_expiry ON ids (expires);
  `,
};

interface Times {
  /** Milliseconds that a confirmed id is remembered. */
  window: number;
  /** Milliseconds that a claim lives. */
  lease: number;
  onError(error: Error): void;
}

/**
 * Ids in SQLite, in `dedupe.db` of the folder `path`. Throws when the folder cannot be used. Ids survive a crash of the
 * process. Loss of power may lose the newest ids: a copy of such an event is stored a second time, but no event is lost.
 * In return no group waits for the disk.
 */
export function sqliteDedupeStore({ path, ...times }: Times & { path: string }): DedupeStore {
  return new SqliteDedupeStore(openDedupeDatabase(path), times);
}

/** Opens the database of a dedupe store. */
export function openDedupeDatabase(folder: string): DatabaseSync {
  return openDatabase(folder, 'dedupe.db', schema);
}

export class SqliteDedupeStore implements DedupeStore {
  readonly #db: DatabaseSync;
  readonly #times: Times;
  readonly #take: StatementSync;
  readonly #look: StatementSync;
  readonly #keep: StatementSync;
  readonly #free: StatementSync;
  readonly #expire: StatementSync;

  /** Takes over an open database: `close` closes it. */
  constructor(db: DatabaseSync, times: Times) {
    this.#db = db;
    this.#times = times;
    const upsert = (owner: string) => `
      INSERT INTO ids (key, owner, print, expires) VALUES (:key, ${owner}, :print, :expires)
      ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, print = excluded.print, expires = excluded.expires
      WHERE ids.expires <= :now OR ids.owner = :owner`;
    this.#take = db.prepare(upsert(':owner'));
    this.#keep = db.prepare(upsert('NULL'));
    this.#look = db.prepare('SELECT owner, print FROM ids WHERE key = ?');
    this.#free = db.prepare('DELETE FROM ids WHERE key = ? AND owner = ?');
    this.#expire = db.prepare(
      'DELETE FROM ids WHERE key IN (SELECT key FROM ids WHERE expires <= ? ORDER BY expires LIMIT ?)',
    );
  }

  async claim(claims: readonly Claim[], owner: string): Promise<ClaimOutcome[]> {
    const now = Date.now();
    const expires = now + this.#times.lease;
    const outcomes = this.#all(claims, ({ key, checksum: print }): ClaimOutcome => {
      if (this.#take.run({ key, owner, print, expires, now }).changes === 1) return 'claimed';
      const held = this.#look.get(key)!;
      if (held.owner !== null) return 'pending';
      return held.print === print ? 'duplicate' : 'changed';
    });
    this.#clean(claims.length, now);
    return outcomes;
  }

  async confirm(claims: readonly Claim[], owner: string): Promise<void> {
    const now = Date.now();
    const expires = now + this.#times.window;
    this.#all(claims, ({ key, checksum: print }) => this.#keep.run({ key, owner, print, expires, now }));
  }

  async release(claims: readonly Claim[], owner: string): Promise<void> {
    this.#all(claims, ({ key }) => this.#free.run(key, owner));
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }

  #all<T>(claims: readonly Claim[], work: (claim: Claim) => T): T[] {
    try {
      return transaction(this.#db, () => claims.map(work));
    } catch (error) {
      throw new StoreUnavailable((error as Error).message, { cause: error });
    }
  }

  /** Deletes expired ids, a few more than were just claimed: so they cannot pile up. */
  #clean(claimed: number, now: number): void {
    try {
      this.#expire.run(now, claimed + 16);
    } catch (error) {
      this.#times.onError(error as Error);
    }
  }
}
