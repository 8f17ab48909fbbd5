import type { Consumption } from '../ports/event-log.ts';
import type { Commits, Holding } from './commits.ts';

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

/**
 * Limits the events that a subscription holds in memory: pauses its partitions above a limit, and resumes them at half
 * of it.
 */
export class Intake {
  readonly #limit: number;
  /** Events of one key that may wait for an earlier one. The rest of the limit is for other partitions. */
  readonly laneLimit: number;
  readonly #commits: Commits;
  #events = 0;
  #bytes = 0;
  #full = false;

  /** `calls`: the concurrency; `events`: the most events in one call. */
  constructor(calls: number, events: number, order: 'key' | 'none', commits: Commits) {
    const limit =
      order === 'none'
        ? Math.min(MAX_OPEN_EVENTS, Math.max(MIN_OPEN_EVENTS, 4 * calls * events))
        : Math.min(MAX_OPEN_EVENTS_BY_KEY, Math.max(MIN_OPEN_EVENTS_BY_KEY, 16 * calls * events));
    // With fewer events than a full batch, every batch would wait for its time.
    this.#limit = Math.max(limit, 2 * events);
    this.laneLimit = Math.max(events, Math.floor(this.#limit / 4));
    this.#commits = commits;
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

  /** Pauses or resumes partitions. `isStopped`: pauses all, however few events are open. */
  regulate(consumption: Consumption, isStopped: boolean, exempt = NOTHING): void {
    const { isDoubtful, parked, waiting } = exempt;
    const share = this.#full ? 0.5 : 1;
    const held = this.#events - parked;
    const most = Math.max(MAX_EVENTS_IN_DOUBT, this.#limit);
    const isMany = held > most * share || held - waiting > (isDoubtful ? most : this.#limit) * share;
    this.#full = isMany || this.#bytes > MAX_BYTES * share;
    let changed: Holding[] | null = null;
    for (const holding of this.#commits.holdings) {
      const isFull =
        holding.crowded > 0 ||
        holding.tracker.open > (holding.paused ? MAX_UNCOMMITTED / 2 : MAX_UNCOMMITTED);
      const isHeld = isStopped || this.#full || isFull;
      if (isHeld === holding.paused) continue;
      holding.paused = isHeld;
      changed ??= [];
      changed.push(holding);
    }
    if (changed === null) return;
    const paused = changed.filter((holding) => holding.paused);
    if (paused.length > 0) consumption.pause(paused.map(partitionOf));
    if (paused.length === changed.length) return;
    consumption.resume(changed.filter((holding) => !holding.paused).map(partitionOf));
  }
}

function partitionOf({ topic, partition }: Holding): { topic: string; partition: number } {
  return { topic, partition };
}
