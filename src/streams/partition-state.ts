import { randomBytes } from 'node:crypto';
import { asBuffer } from '../cloudevents/record.ts';
import type { StreamConfig } from '../config/stream/types.ts';
import { hopsOf, MAX_HOPS } from '../function/reply-record.ts';
import { type LogRecord, type Partition, partitionName, type StoredRecord } from '../ports/event-log.ts';
import type { WindowChange } from '../ports/window-store.ts';
import { Clock, type Mark, type Origin, readMark, writeMark } from './clock.ts';
import { eventTime } from './event-time.ts';
import { Output } from './output.ts';
import { readSourcePosition, type SourcePosition } from './source-position.ts';
import type { Tally } from './tally.ts';
import type { Values } from './values.ts';
import { WindowChanges } from './window-changes.ts';
import { definitionOf, type MadeWindows, makeWindows, spanOf } from './windows/make-windows.ts';
import type { Sample, Window, WindowEvents } from './windows/windows.ts';

export interface PartitionStateOptions extends Partition {
  config: StreamConfig;
  values: Values;
  /** Names of the partitions that the by-key topic is made from; null: the stream reads the events' own topic. */
  origins: readonly string[] | null;
}

const WEEK_MS = 7 * 86_400_000;

/**
 * The state of one partition of a stream, in memory. Records go in; the records to append and the changes to store come
 * out. They depend only on the records, so that a process that reads them again makes the same.
 */
export class PartitionState implements WindowEvents {
  readonly #options: PartitionStateOptions;
  readonly #definition: string;
  readonly #own: string;
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #made: MadeWindows;
  readonly #life: number;
  #closed: number;
  readonly #changes = new WindowChanges();
  readonly #output: Output;
  /** The next offset to be read. */
  next: number;
  /** The mark in the store; null when there is none. */
  stored: string | null;

  /** `mark`: the store's; null: the state begins empty, at the offset `next`. Throws on entries that it did not write. */
  constructor(
    options: PartitionStateOptions,
    mark: string | null,
    entries: ReadonlyMap<string, string>,
    next: number,
  ) {
    this.#options = options;
    const { config, values, origins } = options;
    this.#definition = definitionOf(config);
    this.#own = partitionName(options);
    this.#life = Math.max(WEEK_MS, 2 * (spanOf(config) + config.lateness + config.idle));
    this.#output = new Output(config, values);
    this.stored = mark;
    const known: Mark | null = mark === null ? null : readMark(mark, config.lateness);
    const isOurs = known?.definition === this.#definition;
    this.#epoch = isOurs ? known.epoch : randomBytes(4).toString('base64url');
    this.next = known?.next ?? next;
    this.#clock = isOurs ? known.clock : new Clock(config.lateness);
    this.#closed = isOurs ? known.closed : Number.NEGATIVE_INFINITY;
    for (const name of origins ?? [this.#own]) this.#clock.expect(name);
    this.#made = makeWindows(config, this.#closed, values.aggregates, this);
    for (const [name, value] of entries) {
      if (isOurs) this.#made.windows.restore(name, value);
      else this.#changes.drop(name);
    }
    if (!isOurs && known !== null)
      for (const [name, { seen }] of known.clock.origins) this.#clock.expect(name).seen = seen;
  }

  /** Whether the stored state is of another definition of the stream. Then its open windows are dropped. */
  static isForeign(config: StreamConfig, mark: string): boolean {
    return readMark(mark, config.lateness).definition !== definitionOf(config);
  }

  get open(): number {
    return this.#made.windows.size;
  }

  get watermark(): number {
    return this.#clock.watermark;
  }

  get nextEnd(): number {
    return this.#made.windows.nextEnd;
  }

  /** Takes the next record in the order of offsets. Records that were taken before are left out. */
  take(record: StoredRecord): void {
    if (record.offset < this.next) return;
    this.next = record.offset + 1;
    this.#clock.arrived = Math.min(record.timestamp, Date.now());
    if (this.#options.origins === null) this.#takeOwn(record);
    else this.#takeKeyed(record);
  }

  /** Closes the windows that end at the watermark. */
  close(): void {
    this.#made.windows.close(this.#clock.watermark);
    this.#closed = this.#clock.watermark;
  }

  /** Whether windows would end if time went on by the clock; `now` in ms since 1970. */
  isDue(now: number): boolean {
    for (const { idle } of this.#clock.origins.values())
      if (this.#options.origins !== null && !idle) return false;
    return this.#made.windows.nextEnd <= this.#clock.byClock(now);
  }

  /** Moves the watermark on by the clock. It must be stored before windows are closed, as records cannot give it again. */
  advance(now: number): void {
    this.#clock.watermark = Math.max(this.#clock.watermark, this.#clock.byClock(now));
  }

  /** The records to append before the change is stored. */
  takeOutput(): LogRecord[] {
    return this.#output.takeRecords();
  }

  /** The change to store. */
  takeChange(): WindowChange {
    const entries = this.#changes.take(this.#made.write);
    return { entries, expected: this.stored, mark: this.mark(), life: this.#life };
  }

  /** The whole state, for a store that has lost some of it; `expected` and `held`: its mark and entries. */
  wholeChange(expected: string | null, held: ReadonlyMap<string, string>): WindowChange {
    const entries = new Map<string, string | null>();
    for (const name of held.keys()) entries.set(name, null);
    for (const window of this.#made.windows.all()) entries.set(window.name, this.#made.write(window));
    return { entries, expected, mark: this.mark(), life: this.#life };
  }

  /** The counts since the last call; null: all are 0. */
  takeTally(): Tally | null {
    return this.#output.takeTally();
  }

  mark(): string {
    return writeMark({
      definition: this.#definition,
      epoch: this.#epoch,
      next: this.next,
      closed: this.#closed,
      clock: this.#clock,
    });
  }

  touched(window: Window): void {
    this.#changes.touched(window);
  }

  removed(window: Window): void {
    this.#changes.removed(window);
  }

  grew(window: Window): void {
    if (this.#options.config.emit.on === 'threshold' && !window.fired)
      window.fired = this.#output.emit(window);
  }

  closed(window: Window): void {
    if (this.#options.config.emit.on === 'close') this.#output.emit(window);
  }

  #takeOwn(record: StoredRecord): void {
    const { config, values } = this.#options;
    const time = config.time === 'event' ? (eventTime(record) ?? record.timestamp) : record.timestamp;
    const seen = values.seen(record);
    const wanted = values.wants(seen);
    if (this.#clock.isFuture(time, record.timestamp)) {
      if (wanted) this.#output.late(record, 'future', `${this.#own}/${record.offset}`);
      return;
    }
    this.#clock.advance(this.#clock.expect(this.#own), time);
    if (!wanted) return;
    const { key } = record;
    if (key === null || key.length === 0) this.#output.count('keyless');
    else this.#add(record, seen, key, time, `${this.#own}/${record.offset}`);
  }

  #takeKeyed(record: StoredRecord): void {
    const source = readSourcePosition(record);
    if (source === null) return;
    const origin = this.#clock.expect(source.from);
    if (source.mark !== null) this.#takeMark(origin, source);
    // A copy has the offset of a record that was counted.
    else if (source.offset > origin.seen) {
      origin.seen = source.offset;
      this.#clock.advance(origin, source.time);
      const seen = this.#options.values.seen(record);
      this.#add(record, seen, record.key!, source.time, `${source.from}/${source.offset}`);
    }
  }

  /** All records of the origin before the mark's offset come before the mark. */
  #takeMark(origin: Origin, { offset, time, mark }: SourcePosition): void {
    // A mark of a process that lost the partition since then.
    if (offset <= origin.seen) return;
    origin.seen = Math.max(origin.seen, offset - 1);
    if (mark === 'at') this.#clock.advance(origin, time);
    else {
      origin.time = Math.max(origin.time, time);
      origin.idle = true;
      this.#clock.update();
    }
  }

  #add(record: StoredRecord, seen: object, key: Uint8Array, time: number, position: string): void {
    this.#output.count('events');
    const hops = hopsOf(record);
    const sample = {
      key: asBuffer(key).toString('utf8'),
      time,
      values: this.#options.values.of(seen),
      position,
      hops,
    };
    if (hops >= MAX_HOPS) this.#output.late(record, 'too_many_hops', position);
    else if (this.#isFull(sample)) this.#output.late(record, 'full', position);
    else if (!this.#made.windows.add(sample, this.#clock.watermark))
      this.#output.late(record, 'late', position);
  }

  /** Whether the event needs a new window but no more may be open. Windows that have ended do not count. */
  #isFull(sample: Sample): boolean {
    const { windows } = this.#made;
    const { watermark } = this.#clock;
    const { maxOpenWindows } = this.#options.config;
    if (windows.size < maxOpenWindows) return false;
    windows.close(watermark);
    return windows.size >= maxOpenWindows && windows.opens(sample, watermark);
  }
}
