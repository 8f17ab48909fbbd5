import { type Partition, type Position, partitionName } from '../ports/event-log.ts';
import { OffsetTracker } from './offsets.ts';

/** Time between commits, unless many events are finished sooner. */
const COMMIT_MS = 150;
const COMMIT_EVENTS = 500;
/** Wait after a commit that failed. */
const RETRY_MS = 1_000;

/** A partition that is assigned to this process, from its assignment to its loss. */
export interface Holding extends Partition {
  /** The offset where its reading begins. */
  readonly start: number;
  readonly tracker: OffsetTracker;
  /** The offset after the newest record, or null before the first records came. */
  end: number | null;
  committed: number;
  /** `Member.regulate` has paused it. */
  paused: boolean;
  /** How many of its lanes have too many waiting events. */
  crowded: number;
  /** The partition is lost: events that are still in work here no longer count. */
  lost: boolean;
}

/** How many events of each partition are not concluded; only partitions where that is known. */
export function lagOf(holdings: Iterable<Holding>): (Partition & { value: number })[] {
  return [...holdings].flatMap(({ topic, partition, tracker, end }) => {
    const done = tracker.oldest ?? tracker.next;
    return end === null || done === null ? [] : [{ topic, partition, value: Math.max(0, end - done) }];
  });
}

/** The assigned partitions and how far they are done, which is committed now and then. */
export class Commits {
  readonly #send: (positions: Position[]) => Promise<void>;
  readonly #holdings = new Map<string, Holding>();
  #finished = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(send: (positions: Position[]) => Promise<void>) {
    this.#send = send;
  }

  /** Why the last commit failed, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  get holdings(): Iterable<Holding> {
    return this.#holdings.values();
  }

  /** Takes partitions, which begin at these offsets. */
  assign(positions: readonly Position[]): Holding[] {
    return positions.map(({ topic, partition, offset }) => {
      const key = partitionName({ topic, partition });
      const before = this.#holdings.get(key);
      if (before !== undefined) before.lost = true;
      const holding: Holding = {
        topic,
        partition,
        start: offset,
        tracker: new OffsetTracker(),
        end: null,
        committed: offset,
        paused: false,
        crowded: 0,
        lost: false,
      };
      this.#holdings.set(key, holding);
      return holding;
    });
  }

  find(partition: Partition): Holding | undefined {
    return this.#holdings.get(partitionName(partition));
  }

  /** Notes that an event is concluded; its offset is committed soon. */
  finish(holding: Holding, offset: number): void {
    if (holding.lost) return;
    holding.tracker.finish(offset);
    this.#finished++;
    if (this.#finished >= COMMIT_EVENTS) void this.#commit();
    else this.#schedule(COMMIT_MS);
  }

  /** Notes that all events before an offset are concluded. */
  finishBefore(holding: Holding, offset: number): void {
    if (holding.lost) return;
    holding.tracker.finishBefore(offset);
    this.#schedule(COMMIT_MS);
  }

  /** Commits at once. Does not reject: events whose commit fails are read again by the next owner. */
  async flush(): Promise<void> {
    if (this.#running !== null) await this.#running;
    await this.#commit();
  }

  /** The partitions are given up: events that are finished later do not count. */
  forget(): void {
    for (const holding of this.#holdings.values()) holding.lost = true;
    this.#holdings.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#finished = 0;
  }

  #schedule(ms: number): void {
    if (this.#timer !== null || this.#running !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#commit();
    }, ms);
  }

  #commit(): Promise<void> {
    if (this.#running !== null) return this.#running;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#finished = 0;
    const moved = [...this.#holdings.values()].filter(isBehind);
    if (moved.length === 0) return Promise.resolve();
    this.#running = this.#store(moved).finally(() => {
      this.#running = null;
      const behind = [...this.#holdings.values()].some(isBehind);
      if (behind) this.#schedule(this.#problem === null ? COMMIT_MS : RETRY_MS);
    });
    return this.#running;
  }

  async #store(moved: Holding[]): Promise<void> {
    const positions = moved.map(({ topic, partition, tracker }) => ({
      topic,
      partition,
      offset: tracker.next!,
    }));
    try {
      await this.#send(positions);
      moved.forEach((holding, i) => {
        holding.committed = positions[i]!.offset;
      });
      this.#problem = null;
    } catch (error) {
      this.#problem = `positions cannot be committed: ${(error as Error).message}`;
    }
  }
}

function isBehind({ tracker, committed }: Holding): boolean {
  return tracker.next !== null && tracker.next !== committed;
}
