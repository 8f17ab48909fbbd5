import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Partition, Start, StoredRecord } from '../../ports/event-log.ts';
import type { Schema } from './open.ts';
import { parseHeaders, type Row } from './rows.ts';

/**
 * `topics.next` is the offset of the next record to come, `first` that of the oldest record kept, `bytes` the size of all
 * records kept. `positions.next` is the offset that a group reads next.
 */
export const schema: Schema = {
  version: 1,
  sql: `
    CREATE TABLE topics (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      first INTEGER NOT NULL DEFAULT 0,
      next INTEGER NOT NULL DEFAULT 0,
      bytes INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE records (
      topic INTEGER NOT NULL,
      offset INTEGER NOT NULL,
      timestamp INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      key BLOB,
      headers TEXT NOT NULL,
      value BLOB,
      PRIMARY KEY (topic, offset)
    ) WITHOUT ROWID;
    CREATE TABLE positions (
      reader TEXT NOT NULL,
      topic INTEGER NOT NULL,
      next INTEGER NOT NULL,
      PRIMARY KEY (reader, topic)
    ) WITHOUT ROWID;
  `,
};

/** A row of `topics`, kept in memory. It is changed after the row was. */
export interface Topic {
  readonly id: number;
  readonly name: string;
  first: number;
  next: number;
  bytes: number;
}

/** The statements on the log's tables. */
export class Tables {
  readonly topics = new Map<string, Topic>();
  readonly #addTopic: StatementSync;
  readonly #saveTopic: StatementSync;
  readonly #insert: StatementSync;
  readonly #insertProbe: StatementSync;
  readonly #read: StatementSync;
  readonly #sizes: StatementSync;
  readonly #since: StatementSync;
  readonly #delete: StatementSync;
  readonly #position: StatementSync;
  readonly #savePosition: StatementSync;

  constructor(db: DatabaseSync) {
    this.#addTopic = db.prepare('INSERT INTO topics (name) VALUES (?)');
    this.#saveTopic = db.prepare('UPDATE topics SET first = ?, next = ?, bytes = ? WHERE id = ?');
    this.#insert = db.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#insertProbe = db.prepare(
      "INSERT OR REPLACE INTO records VALUES (0, 0, 0, 0, NULL, '', zeroblob(?))",
    );
    this.#read = db.prepare(
      'SELECT offset, timestamp, bytes, key, headers, value FROM records WHERE topic = ? AND offset >= ? ORDER BY offset LIMIT ?',
    );
    this.#sizes = db.prepare(
      'SELECT offset, timestamp, bytes FROM records WHERE topic = ? AND offset >= ? ORDER BY offset LIMIT ?',
    );
    this.#since = db.prepare(
      'SELECT offset FROM records WHERE topic = ? AND offset >= ? AND timestamp >= ? ORDER BY offset LIMIT 1',
    );
    this.#delete = db.prepare('DELETE FROM records WHERE topic = ? AND offset < ?');
    this.#position = db.prepare('SELECT next FROM positions WHERE reader = ? AND topic = ?');
    this.#savePosition = db.prepare(
      'INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next',
    );
    const rows = db.prepare('SELECT id, name, first, next, bytes FROM topics').all();
    for (const row of rows as unknown as Topic[]) this.topics.set(row.name, { ...row });
  }

  /** The topic of this name; a missing one is made. Call it outside of transactions: a rollback would undo only the row. */
  topic(name: string): Topic {
    const known = this.topics.get(name);
    if (known !== undefined) return known;
    const id = Number(this.#addTopic.run(name).lastInsertRowid);
    const topic = { id, name, first: 0, next: 0, bytes: 0 };
    this.topics.set(name, topic);
    return topic;
  }

  /** Bytes of all records kept. */
  get bytes(): number {
    let bytes = 0;
    for (const topic of this.topics.values()) bytes += topic.bytes;
    return bytes;
  }

  /** Writes a record of so many bytes that belongs to no topic, and deletes it. Throws when that fails. */
  probe(commit: (work: () => void) => void, bytes: number): void {
    commit(() => this.#insertProbe.run(bytes));
    commit(() => this.#delete.run(0, 1));
  }

  saveTopic({ id, first, next, bytes }: Topic): void {
    this.#saveTopic.run(first, next, bytes, id);
  }

  insert(topic: Topic, offset: number, timestamp: number, { bytes, key, headers, value }: Row): void {
    this.#insert.run(topic.id, offset, timestamp, bytes, key, headers, value);
  }

  /** Records from `offset` on: at most `count`, and no more once they have `size` bytes. */
  read(topic: Topic, partition: Partition, offset: number, count: number, size: number): StoredRecord[] {
    const records: StoredRecord[] = [];
    let bytes = 0;
    for (const row of this.#read.iterate(topic.id, offset, count)) {
      records.push({
        topic: partition.topic,
        partition: partition.partition,
        offset: row.offset as number,
        timestamp: row.timestamp as number,
        key: row.key as Uint8Array | null,
        value: row.value as Uint8Array | null,
        headers: parseHeaders(row.headers as string),
      });
      bytes += row.bytes as number;
      if (bytes >= size) break;
    }
    return records;
  }

  /** Offsets, times and sizes of the oldest records. */
  oldest(topic: Topic, count: number): { offset: number; timestamp: number; bytes: number }[] {
    return this.#sizes.all(topic.id, topic.first, count) as never;
  }

  /** The offset that `start` means. Where no record is as young as a time: the one after the newest. */
  startOf(topic: Topic, start: Start): number {
    if (start === 'earliest') return topic.first;
    if (start === 'latest') return topic.next;
    const row = this.#since.get(topic.id, topic.first, start.time);
    return (row?.offset as number | undefined) ?? topic.next;
  }

  /** Deletes all records before `offset`. */
  deleteBefore(topic: Topic, offset: number): void {
    this.#delete.run(topic.id, offset);
  }

  /** The offset that a group reads next; null when it has no position yet. */
  position(group: string, topic: Topic): number | null {
    return (this.#position.get(group, topic.id)?.next as number | undefined) ?? null;
  }

  savePosition(group: string, topic: Topic, next: number): void {
    this.#savePosition.run(group, topic.id, next);
  }
}
