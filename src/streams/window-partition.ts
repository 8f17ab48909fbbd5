import type { LogRecord, Position, StoredRecord } from '../ports/event-log.ts';
import type { WindowChange } from '../ports/window-store.ts';
import type { Part } from './partition-state.ts';
import { Waiting } from './record-queue.ts';

/** What one step makes: appended first, then stored. */
export interface Pending {
  output: LogRecord[];
  change: WindowChange;
}

/** Milliseconds after which the store hears of a part again, so that it does not forget it. */
const TOUCH_MS = 3_600_000;

/** A partition from its assignment to its loss: its state, and the records that wait. */
export class Held {
  readonly topic: string;
  readonly partition: number;
  /** Where the group is committed. */
  readonly assignedAt: number;
  part: Part | null = null;
  /** What is made but not known to be stored: it comes before anything else is taken. */
  pending: Pending | null = null;
  paused = false;
  /** The offset after the newest record; null before the first ones came. */
  end: number | null = null;
  safe: number;
  committed: number;
  /** Time is to go on by the clock. */
  advance = false;
  /** Time has gone on: what it closes is to be told of. */
  closeNext = true;
  /** The store is to hear of the part though nothing has changed. */
  touch = false;
  readonly #waiting = new Waiting();
  #active = performance.now();
  #storedAt = performance.now();

  constructor({ topic, partition, offset }: Position) {
    this.topic = topic;
    this.partition = partition;
    this.assignedAt = offset;
    this.safe = offset;
    this.committed = offset;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The next offset to be read. */
  get next(): number {
    return this.part?.next ?? this.assignedAt;
  }

  get wantsStep(): boolean {
    return this.waiting > 0 || this.pending !== null || this.advance || this.closeNext || this.touch;
  }

  push(records: StoredRecord[], end: number): void {
    this.#waiting.push(records);
    this.end = end;
    this.#active = performance.now();
  }

  /** Gives up to so many records to the part. */
  take(most: number): void {
    const part = this.part!;
    this.#waiting.take(most, (record) => part.take(record));
  }

  /** The pending step is stored. */
  stored(now: number): void {
    this.part!.stored = this.pending!.change.mark;
    this.pending = null;
    this.safe = this.part!.next;
    this.#storedAt = now;
  }

  isIdle(now: number, idle: number): boolean {
    return this.part !== null && !this.wantsStep && now - this.#active >= idle;
  }

  touchWhenOld(now: number): void {
    if (this.part !== null && now - this.#storedAt > TOUCH_MS) this.touch = true;
  }
}
