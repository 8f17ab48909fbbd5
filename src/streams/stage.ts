import { retryWait } from '../function/retry.ts';
import {
  type ConsumeOptions,
  type Consumption,
  type EventLog,
  type Partition,
  type Position,
  partitionName,
  type RecordSink,
  type StoredRecord,
} from '../ports/event-log.ts';

export interface StageOptions {
  log: EventLog;
  random: () => number;
  /** Reading stopped because of an error. The stage cannot go on. */
  failed(error: Error): void;
}

/** A partition that is assigned to this process, from its assignment to its loss. */
export interface StagePartition extends Partition {
  /** Records that wait. */
  readonly waiting: number;
  /** The next offset to be read. */
  readonly next: number;
  /** The offset after the newest record; null before the first ones came. */
  end: number | null;
  /** The offset that may be committed: all records before it are done. */
  readonly safe: number;
  committed: number;
  paused: boolean;
  push(records: StoredRecord[], end: number): void;
}

/** Records of a partition that may wait. With more the partition is paused, and at half of it resumed. */
const MAX_WAITING = 16_000;
const COMMIT_MS = 250;
const TICK_MS = 500;
const RETRY = { attempts: Number.POSITIVE_INFINITY, min: 100, max: 5_000 };
/** A consumer group that rebalances waits at most so long for a member to give up its partitions. */
const MAX_RELEASE_MS = 15_000;

/** Reads topics in steps. One step at a time works on all partitions that have something to do. */
export abstract class Stage<H extends StagePartition> implements RecordSink {
  readonly #options: StageOptions;
  readonly #held = new Map<string, H>();
  readonly #timer: NodeJS.Timeout;
  #consumption: Consumption | null = null;
  #working: Promise<void> | null = null;
  #releasing: Promise<void> | null = null;
  #over = false;
  #failures = 0;
  #committedAt = 0;
  #endWait = () => {};
  /** Why the last step or commit failed, or null. */
  problem: string | null = null;

  constructor(options: StageOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
  }

  protected abstract readonly reads: ConsumeOptions;
  protected abstract hold(position: Position): H;
  protected abstract wantsStep(held: H): boolean;
  /** Works on these partitions. Rejects when the step must be tried again. */
  protected abstract step(ready: H[]): Promise<void>;
  /** Called every half second. */
  protected abstract tick(): Promise<void>;

  /** Begins to read; resolves when the log says that it does. */
  async start(): Promise<void> {
    this.#consumption = await this.#options.log.consume(this.reads, this);
    if (this.#over) await this.#consumption.stop();
    else this.#regulate();
  }

  /** Stops reading, and commits the records that are done by then. */
  async stop(): Promise<void> {
    this.#over = true;
    clearInterval(this.#timer);
    try {
      await this.#consumption?.stop();
    } finally {
      await this.revoked();
    }
  }

  assigned(positions: Position[]): void {
    if (this.#over) return;
    for (const position of positions) this.#held.set(partitionName(position), this.hold(position));
    this.turn();
  }

  records(partition: Partition, records: StoredRecord[], end: number): void {
    const held = this.#held.get(partitionName(partition));
    if (held === undefined || this.isClosing) return;
    held.push(records, end);
    this.#regulate();
    this.turn();
  }

  revoked(): Promise<void> {
    this.#releasing ??= this.#release().finally(() => {
      this.#releasing = null;
    });
    return this.#releasing;
  }

  failed(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    this.#held.clear();
    this.#endWait();
    // Frees what the log holds for this stage. Its failure is reported already.
    this.#consumption?.stop().catch(() => {});
    this.#options.failed(error);
  }

  get held(): H[] {
    return [...this.#held.values()];
  }

  protected get isClosing(): boolean {
    return this.#over || this.#releasing !== null;
  }

  /** The partition is lost: nothing more may be done for it. */
  protected isLost(held: H): boolean {
    return this.#held.get(partitionName(held)) !== held;
  }

  /** Begins the next step, unless one is running. */
  protected turn(): void {
    if (this.#working !== null || this.isClosing) return;
    this.#working = this.#work().finally(() => {
      this.#working = null;
      if (this.held.some((held) => this.wantsStep(held))) this.turn();
    });
  }

  async #work(): Promise<void> {
    // Records that are read in the same turn of the event loop share a step.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.isClosing) {
      const ready = this.held.filter((held) => this.wantsStep(held));
      if (ready.length === 0) return;
      try {
        await this.step(ready);
        if (performance.now() - this.#committedAt > COMMIT_MS) await this.#commit();
        this.#failures = 0;
        this.problem = null;
      } catch (error) {
        this.problem = (error as Error).message;
        await this.wait(retryWait(++this.#failures, RETRY, null, this.#options.random));
      }
      this.#regulate();
    }
  }

  async #tick(): Promise<void> {
    if (this.isClosing) return;
    try {
      if (this.#working === null) await this.#commit();
      await this.tick();
    } catch (error) {
      this.problem = (error as Error).message;
    }
    this.turn();
  }

  async #release(): Promise<void> {
    this.#endWait();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MAX_RELEASE_MS);
    await Promise.race([this.#working, late]);
    clearTimeout(timer);
    // Records that are not committed are read again, and recognized by their offsets.
    await this.#commit().catch(() => {});
    this.#held.clear();
  }

  async #commit(): Promise<void> {
    this.#committedAt = performance.now();
    const behind = this.held.filter(({ safe, committed }) => safe > committed);
    if (behind.length === 0 || this.#consumption === null) return;
    const positions = behind.map(({ topic, partition, safe }) => ({ topic, partition, offset: safe }));
    await this.#consumption.commit(positions);
    for (const [i, held] of behind.entries()) held.committed = positions[i]!.offset;
  }

  #regulate(): void {
    if (this.#consumption === null || this.isClosing) return;
    for (const held of this.#held.values()) {
      const isFull = held.waiting > (held.paused ? MAX_WAITING / 2 : MAX_WAITING);
      if (isFull === held.paused) continue;
      held.paused = isFull;
      const partitions = [{ topic: held.topic, partition: held.partition }];
      if (isFull) this.#consumption.pause(partitions);
      else this.#consumption.resume(partitions);
    }
  }

  /** Waits `ms` milliseconds, or until partitions are given up. */
  protected wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
