import type { StreamConfig } from '../config/stream/types.ts';
import type { LogRecord, StoredRecord } from '../ports/event-log.ts';
import { emittedRecord, type LateReason, lateRecord, resultsOf } from './emitted.ts';
import { emptyTally, isEmpty, type Tally } from './tally.ts';
import type { Values } from './values.ts';
import type { Window } from './windows/windows.ts';

/** Collects the records that a state emits, and counts its events. */
export class Output {
  readonly #config: StreamConfig;
  readonly #values: Values;
  #records: LogRecord[] = [];
  #tally = emptyTally();

  constructor(config: StreamConfig, values: Values) {
    this.#config = config;
    this.#values = values;
  }

  /** Emits the event for a window; false when `having` does not hold. */
  emit(window: Window): boolean {
    const { names, aggregates, having } = this.#values;
    const results = resultsOf(names, aggregates, window);
    if (!having(results)) return false;
    const rough = names.filter((_, i) => aggregates[i]!.isRough(window.states[i]));
    this.#records.push(emittedRecord(this.#config, window, results, rough));
    this.#tally.emitted++;
    return true;
  }

  /** Emits an event that is in no window to the late topic; `origin`: its position. */
  late(record: StoredRecord, reason: LateReason, origin: string): void {
    this.#tally[reason === 'too_many_hops' ? 'tooManyHops' : reason]++;
    this.#records.push(lateRecord(this.#config.name, record, reason, origin));
  }

  count(name: 'events' | 'keyless'): void {
    this.#tally[name]++;
  }

  /** The records since the last call. */
  takeRecords(): LogRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  /** The counts since the last call; null: all are 0. */
  takeTally(): Tally | null {
    const tally = this.#tally;
    if (isEmpty(tally)) return null;
    this.#tally = emptyTally();
    return tally;
  }
}
