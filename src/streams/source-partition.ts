import type { StreamConfig } from '../config/stream/types.ts';
import type { Holding } from '../consume/commits.ts';
import { Queue } from '../consume/queue.ts';
import { type LogRecord, partitionName, type StoredRecord } from '../ports/event-log.ts';
import type { LogReader } from '../ports/log-reader.ts';
import { Clock, type Origin } from './clock.ts';
import { lateRecord } from './emitted.ts';
import { isAtEnd } from './end.ts';
import { eventTime } from './event-time.ts';
import { keyedRecord, markRecord } from './source-position.ts';
import type { Values } from './values.ts';

/** The records made from a source's, to be stored before its position is committed. */
export interface Keyed {
  source: SourcePartition;
  records: LogRecord[];
  next: number;
  future: number;
  keyless: number;
}

/** One partition of the stream's topics, whose events go to the by-key topic. */
export class SourcePartition {
  readonly holding: Holding;
  readonly name: string;
  /** The mark to write after the next step: how far the partition has come, or that it has no further records now. */
  marksNext: 'at' | 'idle' | null = null;
  readonly #config: StreamConfig;
  readonly #values: Values;
  readonly #clock: Clock;
  readonly #origin: Origin;
  readonly #waiting = new Queue<StoredRecord>();
  /** The next offset to be taken. */
  #next: number;
  #active = performance.now();
  /** The event time of the last mark, and when it was written. */
  #markedTime = Number.NEGATIVE_INFINITY;
  #markedAt = Number.NEGATIVE_INFINITY;

  constructor(config: StreamConfig, values: Values, holding: Holding) {
    this.holding = holding;
    this.name = partitionName(holding);
    this.#next = holding.start;
    this.#config = config;
    this.#values = values;
    this.#clock = new Clock(config.lateness);
    this.#origin = this.#clock.expect(this.name);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get wantsStep(): boolean {
    return this.waiting > 0 || this.marksNext !== null;
  }

  push(records: StoredRecord[]): void {
    for (const record of records) this.#waiting.push(record);
    if (this.marksNext === 'idle') this.marksNext = null;
    this.#active = performance.now();
  }

  take(most: number): Keyed {
    const made: Keyed = { source: this, records: [], next: this.#next, future: 0, keyless: 0 };
    for (let i = 0; i < most && this.waiting > 0; i++) this.#make(this.#waiting.shift()!, made);
    made.next = this.#next;
    return made;
  }

  /** Whether event time has gone on since the last mark, and that is `every` ms old. */
  mayMark(now: number, every: number): boolean {
    return this.#origin.time > this.#markedTime && now - this.#markedAt >= every;
  }

  mayBeIdle(now: number): boolean {
    const { idle } = this.#config;
    return this.waiting === 0 && now - this.#active >= idle && now - this.#markedAt >= idle;
  }

  /** Whether the log holds no further record. */
  isAtEnd(reader: LogReader): Promise<boolean> {
    return isAtEnd(reader, this.holding, this.#next);
  }

  /** The next mark, for all records that were taken. They must be stored by then. */
  mark(partition: number): LogRecord {
    const position = { from: this.name, offset: this.#next, time: this.#origin.time };
    return markRecord(this.#config.name, partition, position, this.marksNext === 'idle');
  }

  marked(now: number): void {
    this.marksNext = null;
    this.#markedAt = now;
    this.#markedTime = this.#origin.time;
  }

  #make(record: StoredRecord, made: Keyed): void {
    if (record.offset < this.#next) return;
    this.#next = record.offset + 1;
    const config = this.#config;
    const values = this.#values;
    const time = config.time === 'event' ? (eventTime(record) ?? record.timestamp) : record.timestamp;
    const seen = values.seen(record);
    const wanted = values.wants(seen);
    if (this.#clock.isFuture(time, record.timestamp)) {
      if (!wanted) return;
      made.future++;
      made.records.push(lateRecord(config.name, record, 'future', `${this.name}/${record.offset}`));
      return;
    }
    this.#clock.advance(this.#origin, time);
    if (!wanted) return;
    const key = config.key === null ? record.key : values.key(seen);
    if (key === null || key.length === 0) made.keyless++;
    else made.records.push(keyedRecord(config.name, record, key, time));
  }
}
