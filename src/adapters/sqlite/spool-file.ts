import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { LogRecord } from '../../ports/event-log.ts';
import { durable, transaction } from './open.ts';
import { openSpoolDatabase } from './open-spool.ts';
import { parseHeaders, type Row, toRow } from './rows.ts';

/** Bytes that a row takes in the file besides its fields. */
const ROW_BYTES = 64;

/** A record in the spool. */
export interface Spooled {
  id: number;
  bytes: number;
  record: LogRecord;
}

interface Totals {
  events: number;
  bytes: number;
}

/** Records by topic, in the order of their arrival, in one SQLite file that only this process uses. */
export class SpoolFile {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #first: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteTo: StatementSync;
  readonly #totals: StatementSync;
  /** By topic; only topics that have records. */
  readonly #topics = new Map<string, Totals>();

  /** Opens `spool.db` in the folder; see `openSpoolDatabase`. */
  constructor(folder: string, onDamage: (aside: string, error: Error) => void) {
    this.#db = openSpoolDatabase(folder, onDamage);
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
      this.#topics.set(String(topic), { events: Number(events), bytes: Number(bytes) });
    }
  }

  get topics(): string[] {
    return [...this.#topics.keys()];
  }

  get events(): number {
    return this.#sum('events');
  }

  /** Bytes of all keys, headers and values, and of their rows. */
  get bytes(): number {
    return this.#sum('bytes');
  }

  holds(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /**
   * Adds records of one topic; they are on disk (fsync) when it returns. Throws when they cannot be written; then none is
   * added. Null, and none is added, when the file would then hold more than `max` bytes.
   */
  add(topic: string, records: LogRecord[], max: number): Spooled[] | null {
    const rows = records.map(toRow);
    const bytes = rows.reduce((sum, row) => sum + row.bytes + ROW_BYTES, 0);
    if (this.bytes + bytes > max) return null;
    const ids = durable(this.#db, () => rows.map((row) => Number(this.#write(topic, row))));
    this.#count(topic, rows.length, bytes);
    return rows.map((row, i) => ({ id: ids[i]!, bytes: row.bytes + ROW_BYTES, record: records[i]! }));
  }

  /** The oldest records of a topic: at most `count`, and no more once they have `size` bytes. */
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

  /** Removes the records that `first` gave. */
  removeFirst(topic: string, done: Spooled[]): void {
    const last = done.at(-1);
    if (last === undefined) return;
    // One statement for all costs a fraction of one for each.
    const gone = Number(this.#deleteTo.run(topic, last.id).changes);
    if (gone === done.length) {
      this.#count(topic, -gone, -done.reduce((sum, one) => sum + one.bytes, 0));
      return;
    }
    // `remove` took some of them meanwhile, and counted those.
    const left = this.#totals.get(topic)!;
    this.#topics.delete(topic);
    if (Number(left.events) > 0) this.#count(topic, Number(left.events), Number(left.bytes));
  }

  remove(topic: string, done: Spooled[]): void {
    if (done.length === 0) return;
    const gone = transaction(this.#db, () => done.filter(({ id }) => this.#delete.run(id).changes === 1));
    this.#count(topic, -gone.length, -gone.reduce((sum, { bytes }) => sum + bytes, 0));
  }

  /** Replaces a record by one that may be of another topic, in one transaction. */
  replace(topic: string, old: Spooled, record: LogRecord): void {
    const row = toRow(record);
    transaction(this.#db, () => {
      this.#delete.run(old.id);
      this.#write(record.topic, row);
    });
    this.#count(topic, -1, -old.bytes);
    this.#count(record.topic, 1, row.bytes + ROW_BYTES);
  }

  /** Writes so many bytes and deletes them; throws when that fails. */
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
    const totals = this.#topics.get(topic) ?? { events: 0, bytes: 0 };
    totals.events += events;
    totals.bytes += bytes;
    if (totals.events === 0) this.#topics.delete(topic);
    else this.#topics.set(topic, totals);
  }

  #sum(field: keyof Totals): number {
    let sum = 0;
    for (const totals of this.#topics.values()) sum += totals[field];
    return sum;
  }
}
