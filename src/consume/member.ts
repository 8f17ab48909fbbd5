import { retryWait } from '../function/retry.ts';
import type { ConsumeOptions, Consumption, EventLog, RecordSink, StoredRecord } from '../ports/event-log.ts';
import { Commits, type Holding } from './commits.ts';
import { Outbox } from './outbox.ts';

/** Works on the records that a member reads. */
export interface Work {
  /**
   * Records of a partition that were not read before, in order; none when it was just assigned. Each must be finished
   * later. Must return at once.
   */
  take(holding: Holding, records: StoredRecord[]): void;
  /**
   * Begins nothing new. Resolves when the present work is over; what is in the outbox need not be stored then. The
   * member does not wait without limit.
   */
  release(): Promise<void>;
  /** All partitions are lost: drops all work, and is ready for new partitions. */
  forget(): void;
}

export interface MemberOptions {
  log: EventLog;
  reads: Omit<ConsumeOptions, 'signal'>;
  work: Work;
  /** From 0 to below 1. */
  random: () => number;
  /** Milliseconds that a release may take; never longer than `MAX_RELEASE_MS`, which is the default. */
  releaseMs?: number;
  /** Tells which partitions are to be paused now. Default: none. */
  pauses?(): (holding: Holding) => boolean;
}

/** One membership of the group, from its start to its end or failure. */
interface Membership {
  readonly leaving: AbortController;
  /** Null while it joins. */
  consumption: Consumption | null;
  releasing: Promise<void> | null;
  /** Ends the wait for the work in a release. */
  endRelease: () => void;
}

const RESTART = { attempts: Number.POSITIVE_INFINITY, min: 1_000, max: 60_000 };
/** After so long a time of reading, a failure counts as the first again. */
const HEALTHY_MS = 60_000;
/** A consumer group that rebalances waits for its slowest member. */
const MAX_RELEASE_MS = 20_000;
/** The part of the grace period for work; the rest is for commits. */
const WORK_SHARE = 0.75;

/** Reads topics as a member of a group, commits finished offsets, and joins again after each failure. */
export class Member {
  readonly #options: MemberOptions;
  /** The partitions that are assigned now, and how far they are done. */
  readonly commits: Commits;
  /** The records that the work writes. A new one after each loss of the partitions. */
  outbox: Outbox;
  /** Null between a failure and the next start. Calls from memberships before it are ignored. */
  #current: Membership | null = null;
  #releaseMs: number;
  #isStopped = false;
  #error: string | null = null;
  #failures = 0;
  #startedAt = 0;
  #starting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#releaseMs = Math.min(options.releaseMs ?? MAX_RELEASE_MS, MAX_RELEASE_MS);
    this.outbox = new Outbox(options);
    this.commits = new Commits(async (positions) => {
      const consumption = this.#current?.consumption ?? null;
      if (consumption === null) throw new Error('not reading yet');
      await consumption.commit(positions);
    });
  }

  /** Why it does not read, or cannot commit or write; null when all is well. */
  get problem(): string | null {
    return this.#error ?? this.commits.problem ?? this.outbox.problem;
  }

  /** Partitions are being given up, or there are none: no work may begin. */
  get isClosing(): boolean {
    return this.#isStopped || this.#current === null || this.#current.releasing !== null;
  }

  /** Resolves when it reads, or has failed and will try again. Does not reject. */
  start(): Promise<void> {
    this.#startedAt = performance.now();
    const membership: Membership = {
      leaving: new AbortController(),
      consumption: null,
      releasing: null,
      endRelease() {},
    };
    this.#current = membership;
    this.#starting = this.#join(membership).catch((error) => this.#failed(membership, error));
    return this.#starting;
  }

  /**
   * Stops reading within `graceMs` milliseconds. Work in progress may take most of that time, and what is finished by
   * then is committed. Does not reject: a member that cannot leave its group is soon missed there.
   */
  async stop(graceMs: number): Promise<void> {
    const ms = graceMs * WORK_SHARE;
    this.#isStopped = true;
    this.#releaseMs = Math.min(this.#releaseMs, ms);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const membership = this.#current;
    if (membership === null) return this.#starting;
    // A release that runs already was given more time.
    const late = setTimeout(() => membership.endRelease(), ms);
    membership.leaving.abort();
    await membership.consumption?.stop().catch(() => {});
    await this.#revoked(membership);
    clearTimeout(late);
    await this.#starting;
  }

  /** Ends this membership because the work cannot go on. The next one begins with the committed positions. */
  fail(error: Error): void {
    if (this.#current !== null) this.#failed(this.#current, error);
  }

  /** Pauses and resumes partitions. To be called when `pauses` may have another answer. */
  regulate(): void {
    const { pauses } = this.#options;
    const consumption = this.#current?.consumption ?? null;
    if (pauses === undefined || consumption === null || this.isClosing) return;
    const isHeld = pauses();
    let changed: Holding[] | null = null;
    for (const holding of this.commits.holdings) {
      if (isHeld(holding) === holding.paused) continue;
      holding.paused = !holding.paused;
      changed ??= [];
      changed.push(holding);
    }
    if (changed === null) return;
    const paused = changed.filter((one) => one.paused);
    const resumed = changed.filter((one) => !one.paused);
    if (paused.length > 0) consumption.pause(paused);
    if (resumed.length > 0) consumption.resume(resumed);
  }

  async #join(membership: Membership): Promise<void> {
    const { log, reads } = this.#options;
    const { signal } = membership.leaving;
    const consumption = await log.consume({ ...reads, signal }, this.#sinkOf(membership));
    membership.consumption = consumption;
    if (signal.aborted) {
      await consumption.stop();
      return;
    }
    this.#error = null;
    this.regulate();
  }

  #sinkOf(membership: Membership): RecordSink {
    const isOver = () => membership !== this.#current || this.isClosing;
    return {
      assigned: (positions) => {
        if (isOver()) return;
        for (const holding of this.commits.assign(positions)) this.#options.work.take(holding, []);
        this.regulate();
      },
      records: (partition, records, end) => {
        const holding = this.commits.find(partition);
        if (holding === undefined || isOver()) return;
        holding.end = end;
        this.#options.work.take(
          holding,
          records.filter(({ offset }) => holding.tracker.begin(offset)),
        );
        this.regulate();
      },
      revoked: () => this.#revoked(membership),
      failed: (error) => this.#failed(membership, error),
    };
  }

  #revoked(membership: Membership): Promise<void> {
    if (membership !== this.#current) return Promise.resolve();
    membership.releasing ??= this.#release(membership).finally(() => {
      membership.releasing = null;
    });
    return membership.releasing;
  }

  async #release(membership: Membership): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    membership.endRelease = resolve;
    const timer = setTimeout(resolve, this.#releaseMs);
    await Promise.race([this.#workEnded(), late]);
    clearTimeout(timer);
    // It may have failed meanwhile: then all is forgotten, and the next membership may have begun.
    if (membership === this.#current) await this.commits.flush();
    if (membership === this.#current) this.#forget();
  }

  async #workEnded(): Promise<void> {
    await this.#options.work.release();
    await this.outbox.idle();
  }

  #forget(): void {
    this.commits.forget();
    this.outbox.drop();
    this.outbox = new Outbox(this.#options);
    this.#options.work.forget();
  }

  #failed(membership: Membership, error: Error): void {
    if (membership !== this.#current || this.#isStopped) return;
    this.#current = null;
    this.#error = error.message;
    membership.leaving.abort();
    membership.endRelease();
    this.#forget();
    // Frees what the log holds for it. The failure is known already.
    membership.consumption?.stop().catch(() => {});
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#failures = 0;
    const wait = RESTART.min + retryWait(++this.#failures, RESTART, null, this.#options.random);
    this.#timer = setTimeout(() => void this.start(), wait);
  }
}
