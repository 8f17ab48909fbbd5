import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { StartError } from '../../core/lifecycle.ts';
import type { LogRecord } from '../../ports/event-log.ts';
import { durable, openDatabase, type Schema, transaction } from './open.ts';
import { parseHeaders, type Row, toRow } from './rows.ts';

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
/** What a row takes in the file besides its fields. */
const ROW_BYTES = 64;

/** A record in the spool. */
export interface Spooled {
  id: number;
  bytes: number;
  record: LogRecord;
}

interface Held {
  events: number;
  bytes: number;
}

/** Records by topic, in the order they came, in one SQLite file of this process alone. */
export class SpoolFile {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #first: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteTo: StatementSync;
  readonly #totals: StatementSync;
  readonly #held = new Map<string, Held>();

  /** Throws StartError when the folder cannot be used. A file that is damaged is put aside, and `onDamage` told its new name. */
  constructor(folder: string, onDamage: (aside: string, error: Error) => void) {
    this.#db = openOrPutAside(folder, onDamage);
    this.#insert = this.#db.prepare(
      'INSERT INTO records (topic, bytes, key, headers, value) VALUES (?, ?, ?, ?, ?)',
    );
    this.#first = this.#db.prepare('SELECT * FROM records WHERE topic = ? ORDER BY id LIMIT ?');
    this.#delete = this.#db.prepare('DELETE FROM records WHERE id = ?');
    this.#deleteTo = this.#db.prepare('DELETE FROM records WHERE topic = ? AND id <= ?');
    this.#totals = this.#db.prepare(
      'SELECT count(*) AS events, sum(bytes) AS bytes FROM records WHERE topic = ?',
    );
    const rows = this.#db
      .prepare('SELECT topic, count(*) AS events, sum(bytes) AS bytes FROM records GROUP BY topic')
      .all();
    for (const { topic, events, bytes } of rows) {
      this.#held.set(String(topic), { events: Number(events), bytes: Number(bytes) });
    }
  }

  get topics(): string[] {
    return [...this.#held.keys()];
  }

  get events(): number {
    return this.#sum('events');
  }

  /** Of keys, headers and values, and what their rows take besides. */
  get bytes(): number {
    return this.#sum('bytes');
  }

  holds(topic: string): boolean {
    return this.#held.has(topic);
  }

  /** Adds records of one topic, on disk (fsync) when it returns; all, or none and an error. Null when they would take the file over `max` bytes. */
  add(topic: string, records: LogRecord[], max: number): Spooled[] | null {
    const rows = records.map(toRow);
    const bytes = rows.reduce((sum, row) => sum + row.bytes + ROW_BYTES, 0);
    if (this.bytes + bytes > max) return null;
    const ids = durable(this.#db, () => rows.map((row) => Number(this.#write(topic, row))));
    this.#count(topic, rows.length, bytes);
    return rows.map((row, i) => ({ id: ids[i]!, bytes: row.bytes + ROW_BYTES, record: records[i]! }));
  }

  /** The oldest records of a topic: at most `count`, and none more once `size` bytes are reached. */
  first(topic: string, count: number, size: number): Spooled[] {
    const found: Spooled[] = [];
    let total = 0;
    for (const row of this.#first.iterate(topic, count)) {
      const bytes = Number(row.bytes);
      const record: LogRecord = {
        topic,
        key: row.key as Uint8Array | null,
        value: row.value as Uint8Array | null,
        headers: parseHeaders(String(row.headers)),
      };
      found.push({ id: Number(row.id), bytes, record });
      total += bytes;
      if (total >= size) break;
    }
    return found;
  }

  /** Removes the oldest records of a topic, as `first` gave them. */
  removeFirst(topic: string, done: Spooled[]): void {
    const last = done.at(-1);
    if (last === undefined) return;
    // One statement for all costs a fraction of one for each.
    const gone = Number(this.#deleteTo.run(topic, last.id).changes);
    if (gone === done.length) {
      this.#count(topic, -gone, -done.reduce((sum, one) => sum + one.bytes, 0));
      return;
    }
    // Some were removed meanwhile, and their bytes with them.
    const left = this.#totals.get(topic)!;
    this.#held.delete(topic);
    if (Number(left.events) > 0) this.#count(topic, Number(left.events), Number(left.bytes));
  }

  remove(topic: string, done: Spooled[]): void {
    if (done.length === 0) return;
    const gone = transaction(this.#db, () => done.filter(({ id }) => this.#delete.run(id).changes === 1));
    this.#count(topic, -gone.length, -gone.reduce((sum, { bytes }) => sum + bytes, 0));
  }

  /** Puts a record, perhaps of another topic, in the place of one: both happen, or neither. */
  replace(topic: string, old: Spooled, record: LogRecord): void {
    const row = toRow(record);
    transaction(this.#db, () => {
      this.#delete.run(old.id);
      this.#write(record.topic, row);
    });
    this.#count(topic, -1, -old.bytes);
    this.#count(record.topic, 1, row.bytes + ROW_BYTES);
  }

  /** Writes so many bytes and takes them away again; throws when that cannot be done. */
  probe(bytes: number): void {
    const row = { key: null, headers: '', value: new Uint8Array(bytes), bytes };
    durable(this.#db, () => this.#delete.run(this.#write('', row)));
  }

  close(): void {
    this.#db.close();
  }

  #write(topic: string, { key, headers, value, bytes }: Row): number | bigint {
    return this.#insert.run(topic, bytes + ROW_BYTES, key, headers, value).lastInsertRowid;
  }

  #count(topic: string, events: number, bytes: number): void {
    const held = this.#held.get(topic) ?? { events: 0, bytes: 0 };
    held.events += events;
    held.bytes += bytes;
    if (held.events === 0) this.#held.delete(topic);
    else this.#held.set(topic, held);
  }

  #sum(field: keyof Held): number {
    let sum = 0;
    for (const held of this.#held.values()) sum += held[field];
    return sum;
  }
}

function openOrPutAside(folder: string, onDamage: (aside: string, error: Error) => void): DatabaseSync {
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
        // Not every file needs to be there.
      }
    }
    onDamage(aside, error as Error);
    return openDatabase(folder, 'spool.db', schema);
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
function isDamage(error: Error): boolean {
  const code = (error.cause as { errcode?: number } | undefined)?.errcode;
  return code === 11 || code === 26 || error.message.includes('is damaged');
}
