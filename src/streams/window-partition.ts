import type { Holding } from '../consume/commits.ts';
import { Queue } from '../consume/queue.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import type { WindowChange } from '../ports/window-store.ts';
import type { PartitionState } from './partition-state.ts';

/** The result of one step: the output is appended first, then the change is stored. */
export interface Pending {
  output: LogRecord[];
  change: WindowChange;
}

/** A state that has not changed for so long is stored again, so that the store does not forget it. */
const TOUCH_MS = 3_600_000;

/** A partition whose windows are kept here, from its assignment to its loss: its state, and the records that wait. */
export class WindowPartition {
  readonly holding: Holding;
  state: PartitionState | null = null;
  /** A step that is not known to be stored. Nothing else is taken before it is. */
  pending: Pending | null = null;
  /** The next step lets time go on by the clock. */
  advance = false;
  /** The next step closes windows although no records wait. */
  closeNext = true;
  /** The next step stores the state although it has not changed. */
  touch = false;
  readonly #waiting = new Queue<StoredRecord>();
  #active = performance.now();
  #storedAt = performance.now();

  constructor(holding: Holding) {
    this.holding = holding;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get wantsStep(): boolean {
    return this.waiting > 0 || this.pending !== null || this.advance || this.closeNext || this.touch;
  }

  push(records: StoredRecord[]): void {
    for (const record of records) this.#waiting.push(record);
    this.#active = performance.now();
  }

  /** Gives up to `most` records to the state. */
  take(most: number): void {
    const state = this.state!;
    for (let i = 0; i < most && this.waiting > 0; i++) state.take(this.#waiting.shift()!);
  }

  /** The pending step is stored. */
  stored(now: number): void {
    this.state!.stored = this.pending!.change.mark;
    this.pending = null;
    this.#storedAt = now;
  }

  isIdle(now: number, idle: number): boolean {
    return this.state !== null && !this.wantsStep && now - this.#active >= idle;
  }

  touchWhenOld(now: number): void {
    if (this.state !== null && now - this.#storedAt > TOUCH_MS) this.touch = true;
  }
}
