import type { DatabaseSync } from 'node:sqlite';
import { onAbort } from '../../core/lifecycle.ts';
import type {
  AppendVerdict,
  ConsumeOptions,
  Consumption,
  EventLog,
  LogRecord,
  RecordSink,
} from '../../ports/event-log.ts';
import type { LogReader, Range } from '../../ports/log-reader.ts';
import { rangesOf, readRanges } from './log-reader.ts';
import { durable, openDatabase, transaction } from './open.ts';
import { Reader } from './consumption.ts';
import { type Retention, retain } from './retention.ts';
import { type Row, toRow } from './rows.ts';
import { schema, Tables, type Topic } from './tables.ts';

export interface SqliteEventLogOptions {
  /** Folder; the log is `log.db` in it. */
  path: string;
  retention: Retention;
  /** Told of faults that no caller sees: retention that fails, records removed before a group read them. */
  onError(error: Error): void;
}

const MAX_RECORD = 16 * 1024 * 1024;
/** Milliseconds between looks at what is too old. */
const RETENTION_INTERVAL = 10_000;
/** Milliseconds between attempts to write again after a failure, while nothing is appended. */
const PROBE_INTERVAL = 1_000;

/**
 * The log in one SQLite file, for one process: one partition per topic, topics made when first named.
 * `stored` means on disk (fsync). Throws when the folder cannot be used.
 */
export function sqliteEventLog(options: SqliteEventLogOptions): EventLog & LogReader {
  return new SqliteEventLog(options);
}

class SqliteEventLog implements EventLog, LogReader {
  readonly #options: SqliteEventLogOptions;
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #readers = new Set<Reader>();
  /** Who reads a topic in a group: the first holds it, the others wait for it. */
  readonly #queues = new Map<string, { group: string; topic: Topic; readers: Reader[] }>();
  readonly #timer: NodeJS.Timeout;
  #retaining = false;
  #fault: string | null = null;
  /** Bytes that could not be stored, and when (performance.now) to try again whether they can. */
  #failed = 0;
  #probe = 0;
  #closing: Promise<void> | null = null;

  constructor(options: SqliteEventLogOptions) {
    this.#options = options;
    this.#db = openDatabase(options.path, 'log.db', schema);
    this.#tables = new Tables(this.#db);
    this.#timer = setInterval(() => this.#retain(), RETENTION_INTERVAL).unref();
    this.#retain();
  }

  async append(records: LogRecord[]): Promise<AppendVerdict[]> {
    const rows = records.map(toRow);
    const fits = (row: Row) => row.bytes <= MAX_RECORD;
    const stored = this.#store(records, rows, fits);
    return rows.map((row) => (!fits(row) ? 'too_large' : stored ? 'stored' : 'failed'));
  }

  async consume(options: ConsumeOptions, sink: RecordSink): Promise<Consumption> {
    const { group } = options;
    const found = this.#start(options);
    const reader = new Reader(group, sink, {
      tables: this.#tables,
      commit: (name, positions) =>
        transaction(this.#db, () => {
          for (const { topic, next } of positions) this.#tables.savePosition(name, topic, next);
        }),
      released: (one) => this.#release(one),
      onError: this.#options.onError,
    });
    this.#readers.add(reader);
    for (const topic of found) {
      const id = JSON.stringify([group, topic.name]);
      const queue = this.#queues.get(id) ?? { group, topic, readers: [] };
      this.#queues.set(id, queue);
      queue.readers.push(reader);
      if (queue.readers[0] === reader) this.#give(queue);
    }
    onAbort(options.signal, () => void reader.stop().catch(this.#options.onError));
    return reader;
  }

  async ranges(topic: string, time?: number): Promise<Range[]> {
    return rangesOf(this.#tables, topic, time);
  }

  read(ranges: readonly Range[], sink: Parameters<LogReader['read']>[1]): Promise<void> {
    return readRanges(this.#tables, ranges, sink);
  }

  problem(): string | null {
    if (this.#closing !== null) return 'closed';
    // What was wrong may have passed, and nobody appends while this says that it has not.
    if (this.#fault !== null && performance.now() >= this.#probe) {
      this.#try(this.#failed, () => this.#tables.probe((work) => durable(this.#db, work), this.#failed));
    }
    return this.#fault;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    const stopped = await Promise.allSettled([...this.#readers].map((reader) => reader.stop()));
    this.#db.close();
    for (const result of stopped) if (result.status === 'rejected') this.#options.onError(result.reason);
  }

  /** Writes the rows that fit, all or none. */
  #store(records: LogRecord[], rows: Row[], fits: (row: Row) => boolean): boolean {
    const timestamp = Date.now();
    // What the topics will be: only known to be so after the commit.
    const changed = new Map<string, Topic>();
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    const written = this.#try(bytes, () => {
      for (const { topic } of records) {
        if (!changed.has(topic)) changed.set(topic, { ...this.#tables.topic(topic) });
      }
      durable(this.#db, () => {
        records.forEach((record, i) => {
          const row = rows[i]!;
          if (!fits(row)) return;
          const topic = changed.get(record.topic)!;
          this.#tables.insert(topic, topic.next++, timestamp, row);
          topic.bytes += row.bytes;
        });
        for (const topic of changed.values()) this.#tables.saveTopic(topic);
      });
    });
    if (!written) return false;
    for (const [name, topic] of changed) Object.assign(this.#tables.topic(name), topic);
    for (const { topic, readers } of this.#queues.values()) if (changed.has(topic.name)) readers[0]?.wake();
    if (this.#tables.bytes > this.#options.retention.size) this.#retain();
    return true;
  }

  /** False, and a problem, when `work`, which writes so many bytes, throws. */
  #try(bytes: number, work: () => void): boolean {
    if (!this.#db.isOpen) return false;
    try {
      work();
      this.#fault = null;
      return true;
    } catch (error) {
      this.#fault = `embedded log: ${(error as Error).message}`;
      this.#failed = Math.min(bytes, MAX_RECORD);
      this.#probe = performance.now() + PROBE_INTERVAL;
      return false;
    }
  }

  /** The topics by name, each with a position for the group from now on. */
  #start({ group, topics: names, from, starts }: ConsumeOptions): Topic[] {
    if (this.#closing !== null) throw new Error('The embedded log is closed');
    const topics = [...new Set(names)].map((name) => this.#tables.topic(name));
    durable(this.#db, () => {
      for (const topic of topics) {
        if (this.#tables.position(group, topic) !== null) continue;
        this.#tables.savePosition(group, topic, this.#tables.startOf(topic, starts?.[topic.name] ?? from));
      }
    });
    return topics;
  }

  #give({ group, topic, readers }: { group: string; topic: Topic; readers: Reader[] }): void {
    readers[0]?.hold(topic, this.#tables.position(group, topic)!);
  }

  #release(reader: Reader): void {
    this.#readers.delete(reader);
    for (const [id, queue] of this.#queues) {
      const place = queue.readers.indexOf(reader);
      if (place === -1) continue;
      queue.readers.splice(place, 1);
      if (queue.readers.length === 0) this.#queues.delete(id);
      else if (place === 0) this.#give(queue);
    }
  }

  /** Deletes what is too old or too much in small steps, with turns of the event loop between them. */
  #retain(): void {
    if (this.#retaining) return;
    this.#retaining = true;
    setImmediate(() => {
      this.#retaining = false;
      if (!this.#db.isOpen) return;
      try {
        if (retain(this.#db, this.#tables, this.#options.retention)) this.#retain();
      } catch (error) {
        this.#options.onError(error as Error);
      }
    });
  }
}
