import { type Partition, type Position, partitionName } from '../ports/event-log.ts';
import { OffsetTracker } from './offsets.ts';

/** Milliseconds between commits, unless many events are finished sooner. */
const EVERY_MS = 150;
const EVERY_EVENTS = 500;
const AGAIN_MS = 1_000;

/** One partition from its assignment to its loss. */
export interface Holding extends Partition {
  readonly tracker: OffsetTracker;
  /** The offset after the newest record, or null before the first records came. */
  end: number | null;
  committed: number | null;
  paused: boolean;
  /** Lanes in which too many events wait. */
  crowded: number;
  /** It is somebody else's now: what is still in work here must not count any more. */
  lost: boolean;
}

/** Events that are not concluded; null when that is not known. */
export function lagOf({ tracker, end }: Holding): number | null {
  const place = tracker.oldest ?? tracker.next;
  return end === null || place === null ? null : Math.max(0, end - place);
}

/** The partitions that are ours, and how far they are done. */
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

  assign(partitions: readonly Partition[]): void {
    for (const { topic, partition } of partitions) {
      const key = partitionName({ topic, partition });
      const before = this.#holdings.get(key);
      if (before !== undefined) before.lost = true;
      const tracker = new OffsetTracker();
      this.#holdings.set(key, {
        topic,
        partition,
        tracker,
        end: null,
        committed: null,
        paused: false,
        crowded: 0,
        lost: false,
      });
    }
  }

  find(partition: Partition): Holding | undefined {
    return this.#holdings.get(partitionName(partition));
  }

  /** Notes that an event is concluded; its place is committed soon. */
  finish(holding: Holding, offset: number): void {
    if (holding.lost) return;
    holding.tracker.finish(offset);
    this.#finished++;
    if (this.#finished >= EVERY_EVENTS) void this.#commit();
    else this.#schedule(EVERY_MS);
  }

  /** Commits what is finished now. Does not reject: what fails is read again by the next owner. */
  async flush(): Promise<void> {
    if (this.#running !== null) await this.#running;
    await this.#commit();
  }

  /** The partitions are given up: nothing that comes late counts. */
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
      if (behind) this.#schedule(this.#problem === null ? EVERY_MS : AGAIN_MS);
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
