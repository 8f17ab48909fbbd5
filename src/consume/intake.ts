import type { Holding } from './commits.ts';

/** The limit of open events grows with the concurrency, between these two. */
const MIN_OPEN_EVENTS = 100;
const MAX_OPEN_EVENTS = 2_000;
/** The same for `order: key`: events of many keys must be held, so that some keys are free. */
const MIN_OPEN_EVENTS_BY_KEY = 500;
const MAX_OPEN_EVENTS_BY_KEY = 5_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** Open events when those that failed count too, or when the breaker is in doubt. */
const MAX_EVENTS_IN_DOUBT = 5_000;
/** Offsets of one partition that may wait behind one that is not finished: so many are read again after a crash. */
const MAX_UNCOMMITTED = 5_000;

/** Open events that must not keep others from being read. */
interface Exempt {
  /** Good events may be behind many bad ones. */
  isDoubtful: boolean;
  /** Events whose partition is paused already because of them. */
  parked: number;
  /** Events that have failed and wait for their next attempt. */
  waiting: number;
}

const NOTHING: Exempt = { isDoubtful: false, parked: 0, waiting: 0 };

/** Limits the events held in memory: partitions pause above a limit, and go on at half of it. */
export class Intake {
  readonly #limit: number;
  /** Events of one key that may wait for an earlier one. The rest of the limit is for other partitions. */
  readonly laneLimit: number;
  #events = 0;
  #bytes = 0;
  #full = false;

  /** `calls`: the concurrency; `events`: the most events in one call. */
  constructor(calls: number, events: number, order: 'key' | 'none') {
    const limit =
      order === 'none'
        ? Math.min(MAX_OPEN_EVENTS, Math.max(MIN_OPEN_EVENTS, 4 * calls * events))
        : Math.min(MAX_OPEN_EVENTS_BY_KEY, Math.max(MIN_OPEN_EVENTS_BY_KEY, 16 * calls * events));
    // With fewer events than a full batch, every batch would wait for its time.
    this.#limit = Math.max(limit, 2 * events);
    this.laneLimit = Math.max(events, Math.floor(this.#limit / 4));
  }

  add(bytes: number): void {
    this.#events++;
    this.#bytes += bytes;
  }

  settle(bytes: number): void {
    this.#events--;
    this.#bytes -= bytes;
  }

  reset(): void {
    this.#events = 0;
    this.#bytes = 0;
    this.#full = false;
  }

  /** Tells which partitions must pause now. `isStopped`: all, however few events are open. */
  pauses(isStopped: boolean, exempt = NOTHING): (holding: Holding) => boolean {
    const { isDoubtful, parked, waiting } = exempt;
    const share = this.#full ? 0.5 : 1;
    const held = this.#events - parked;
    const most = Math.max(MAX_EVENTS_IN_DOUBT, this.#limit);
    const isMany = held > most * share || held - waiting > (isDoubtful ? most : this.#limit) * share;
    this.#full = isMany || this.#bytes > MAX_BYTES * share;
    if (isStopped || this.#full) return all;
    return isFull;
  }
}

function all(): boolean {
  return true;
}

function isFull({ crowded, tracker, paused }: Holding): boolean {
  return crowded > 0 || tracker.open > (paused ? MAX_UNCOMMITTED / 2 : MAX_UNCOMMITTED);
}
