import { Commits, type Holding } from '../consume/commits.ts';
import { retryWait } from '../function/retry.ts';
import type { Consumption, EventLog, Partition, Position, StoredRecord } from '../ports/event-log.ts';

/** Handles the records that are read. */
export interface RecordHandler {
  assigned(holdings: Holding[]): void;
  /** Records that were not read before, in order. Each must be finished later. `end`: the offset after the newest. */
  records(holding: Holding, records: StoredRecord[], end: number): void;
  /** Begins nothing new. Resolves when the present work is over, or after `ms` milliseconds. */
  release(ms: number): Promise<void>;
  /** All partitions are lost. */
  forget(): void;
}

export interface GroupReaderOptions {
  log: EventLog;
  group: string;
  topics: string[];
  random: () => number;
  handler: RecordHandler;
}

const RESTART = { attempts: Number.POSITIVE_INFINITY, min: 1_000, max: 60_000 };
/** After so long a time of reading, a failure counts as the first again. */
const HEALTHY_MS = 60_000;
/** A consumer group that rebalances waits at most so long for a member to give up its partitions. */
const MAX_RELEASE_MS = 20_000;

/** Reads topics as a member of a consumer group, starts again after each failure, and commits finished offsets. */
export class GroupReader {
  readonly #options: GroupReaderOptions;
  readonly commits: Commits;
  consumption: Consumption | null = null;
  /** Counts the starts. The sinks of earlier starts are ignored. */
  #turn = 0;
  #releasing: Promise<void> | null = null;
  #releaseMs = MAX_RELEASE_MS;
  #stopped = false;
  #error: string | null = null;
  #failures = 0;
  #startedAt = 0;
  #starting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: GroupReaderOptions) {
    this.#options = options;
    this.commits = new Commits(async (positions) => {
      if (this.consumption === null) throw new Error('not reading yet');
      await this.consumption.commit(positions);
    });
  }

  get problem(): string | null {
    return this.#error ?? this.commits.problem;
  }

  get isReleasing(): boolean {
    return this.#releasing !== null || this.#stopped;
  }

  /** Resolves when it reads, or has failed and will try again. */
  start(): Promise<void> {
    this.#startedAt = performance.now();
    const turn = ++this.#turn;
    const { log, group, topics } = this.#options;
    const isOld = () => turn !== this.#turn;
    const sink = {
      assigned: (partitions: Position[]) => {
        if (!isOld()) this.#assigned(partitions);
      },
      records: (partition: Partition, records: StoredRecord[], end: number) => {
        if (!isOld()) this.#records(partition, records, end);
      },
      revoked: () => (isOld() ? Promise.resolve() : this.#revoked()),
      failed: (error: Error) => {
        if (!isOld()) this.#failed(error);
      },
    };
    this.#starting = log.consume({ group, topics, from: 'earliest' }, sink).then(
      async (consumption) => {
        if (isOld()) return consumption.stop();
        this.consumption = consumption;
        this.#error = null;
        if (this.#stopped) await consumption.stop();
      },
      (error: Error) => sink.failed(error),
    );
    return this.#starting;
  }

  /** Stops reading. Present work may take `ms` milliseconds to end; offsets finished by then are committed. */
  async stop(ms: number): Promise<void> {
    this.#stopped = true;
    this.#releaseMs = Math.min(this.#releaseMs, ms);
    if (this.#timer !== null) clearTimeout(this.#timer);
    try {
      await this.consumption?.stop();
    } finally {
      await this.#revoked();
      await this.#starting;
    }
  }

  #assigned(partitions: Position[]): void {
    if (this.#stopped) return;
    this.commits.assign(partitions);
    this.#options.handler.assigned(partitions.map((one) => this.commits.find(one)!));
  }

  #records(partition: Partition, records: StoredRecord[], end: number): void {
    const holding = this.commits.find(partition);
    if (holding === undefined || this.isReleasing) return;
    holding.end = end;
    const fresh = records.filter(({ offset }) => holding.tracker.begin(offset));
    this.#options.handler.records(holding, fresh, end);
  }

  #revoked(): Promise<void> {
    this.#releasing ??= this.#release().finally(() => {
      this.#releasing = null;
    });
    return this.#releasing;
  }

  async #release(): Promise<void> {
    await this.#options.handler.release(this.#releaseMs);
    await this.commits.flush();
    this.#forget();
  }

  #forget(): void {
    this.commits.forget();
    this.#options.handler.forget();
  }

  #failed(error: Error): void {
    this.#turn++;
    this.#error = error.message;
    this.#forget();
    this.consumption?.stop().catch(() => {});
    this.consumption = null;
    if (this.#stopped) return;
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#failures = 0;
    const wait = RESTART.min + retryWait(++this.#failures, RESTART, null, this.#options.random);
    this.#timer = setTimeout(() => void this.start(), wait);
  }
}
