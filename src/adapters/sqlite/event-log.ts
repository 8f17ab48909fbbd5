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
import { SqliteConsumption } from './consumption.ts';
import { Groups } from './groups.ts';
import { rangesOf, readRanges } from './log-reader.ts';
import { durable, openDatabase, transaction } from './open.ts';
import { type Retention, retain } from './retention.ts';
import { type Row, toRow } from './rows.ts';
import { schema, Tables, type Topic } from './tables.ts';

export interface SqliteEventLogOptions {
  /** Folder; the log is `log.db` in it. */
  path: string;
  retention: Retention;
  /** Called for faults that no caller sees: failed retention, records that were deleted before a group read them. */
  onError(error: Error): void;
}

const MAX_RECORD = 16 * 1024 * 1024;
/** Milliseconds between two looks for records that are too old. */
const RETENTION_INTERVAL = 10_000;
/** Milliseconds between two attempts to write after a failure, while nothing is appended. */
const PROBE_INTERVAL = 1_000;

/**
 * The log in one SQLite file, for one process. Each topic has one partition, and is made when it is first named. `stored`
 * means on disk (fsync). Throws when the folder cannot be used.
 */
export function sqliteEventLog(options: SqliteEventLogOptions): EventLog & LogReader {
  return new SqliteEventLog(options);
}

class SqliteEventLog implements EventLog, LogReader {
  readonly #options: SqliteEventLogOptions;
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #groups: Groups;
  readonly #readers = new Set<SqliteConsumption>();
  readonly #timer: NodeJS.Timeout;
  #retaining = false;
  #fault: string | null = null;
  /** Bytes that could not be stored, and the time (performance.now) of the next attempt. */
  #failed = 0;
  #probeAt = 0;
  #closing: Promise<void> | null = null;

  constructor(options: SqliteEventLogOptions) {
    this.#options = options;
    this.#db = openDatabase(options.path, 'log.db', schema);
    this.#tables = new Tables(this.#db);
    this.#groups = new Groups(this.#tables);
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
    const topics = this.#start(options);
    const reader = new SqliteConsumption({
      group,
      sink,
      tables: this.#tables,
      commit: (name, positions) =>
        transaction(this.#db, () => {
          for (const { topic, next } of positions) this.#tables.savePosition(name, topic, next);
        }),
      released: () => {
        this.#readers.delete(reader);
        this.#groups.leave(reader);
      },
      onError: this.#options.onError,
    });
    this.#readers.add(reader);
    this.#groups.join(group, topics, reader);
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
    // Nobody appends while there is a problem, so only an attempt here shows that it has passed.
    if (this.#fault !== null && performance.now() >= this.#probeAt) {
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
    // The topics' next state, which holds only after the commit.
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
    this.#groups.wake(changed);
    if (this.#tables.bytes > this.#options.retention.size) this.#retain();
    return true;
  }

  /** Runs `work`, which writes so many bytes; false, and a problem, when it throws. */
  #try(bytes: number, work: () => void): boolean {
    if (!this.#db.isOpen) return false;
    try {
      work();
      this.#fault = null;
      return true;
    } catch (error) {
      this.#fault = `embedded log: ${(error as Error).message}`;
      this.#failed = Math.min(bytes, MAX_RECORD);
      this.#probeAt = performance.now() + PROBE_INTERVAL;
      return false;
    }
  }

  /** The topics, made where they are missing; the group has a position in each from now on. */
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

  /** Deletes records over the retention in small steps, with turns of the event loop between them. */
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
