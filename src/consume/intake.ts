import type { Consumption } from '../ports/event-log.ts';
import type { Commits, Holding } from './commits.ts';

const FEWEST = 100;
const MOST = 2_000;
/** With lanes, events of many keys must be held for some to be free. */
const LANES_FEWEST = 500;
const LANES_MOST = 5_000;
const BYTES = 16 * 1024 * 1024;
/** Events that have failed, and those among which one is looked for that does not. */
const HELD = 5_000;
/** Offsets of one partition that may wait behind one that does not get done: so many are read again after a crash. */
const WINDOW = 5_000;

/** What of all that is held must not keep others from being read. */
interface Apart {
  /** Good events may be behind many bad ones. */
  isDoubtful: boolean;
  /** Events that have paused their partition already. */
  parked: number;
  /** Events that have failed and wait for their next attempt. */
  waiting: number;
}

const NOTHING: Apart = { isDoubtful: false, parked: 0, waiting: 0 };

/**
 * What a subscription holds in memory, and the back-pressure from it: partitions are paused above a limit
 * and resumed at half of it.
 */
export class Intake {
  readonly #limit: number;
  /** Events of one key that may wait for an earlier one: the rest of the room is for other partitions. */
  readonly laneLimit: number;
  readonly #commits: Commits;
  #events = 0;
  #bytes = 0;
  #full = false;

  /** For so many calls at once, each with up to so many events. */
  constructor(calls: number, events: number, order: 'key' | 'none', commits: Commits) {
    const limit =
      order === 'none'
        ? Math.min(MOST, Math.max(FEWEST, 4 * calls * events))
        : Math.min(LANES_MOST, Math.max(LANES_FEWEST, 16 * calls * events));
    // Less than one full batch would never be sent before its time.
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

  /** Pauses or resumes what has to be; with `isStopped`, nothing more is wanted however little is held. */
  regulate(consumption: Consumption, isStopped: boolean, apart = NOTHING): void {
    const { isDoubtful, parked, waiting } = apart;
    const share = this.#full ? 0.5 : 1;
    const held = this.#events - parked;
    const most = Math.max(HELD, this.#limit);
    const isMany = held > most * share || held - waiting > (isDoubtful ? most : this.#limit) * share;
    this.#full = isMany || this.#bytes > BYTES * share;
    let changed: Holding[] | null = null;
    for (const holding of this.#commits.holdings) {
      const isFull = holding.crowded > 0 || holding.tracker.open > (holding.paused ? WINDOW / 2 : WINDOW);
      const isHeld = isStopped || this.#full || isFull;
      if (isHeld === holding.paused) continue;
      holding.paused = isHeld;
      changed ??= [];
      changed.push(holding);
    }
    if (changed === null) return;
    const paused = changed.filter((holding) => holding.paused);
    if (paused.length > 0) consumption.pause(paused.map(placeOf));
    if (paused.length === changed.length) return;
    consumption.resume(changed.filter((holding) => !holding.paused).map(placeOf));
  }
}

function placeOf({ topic, partition }: Holding): { topic: string; partition: number } {
  return { topic, partition };
}
