import { takesBatches } from '../config/function/types.ts';
import { Commits, type Holding } from '../consume/commits.ts';
import { Idle } from '../consume/idle.ts';
import { Intake } from '../consume/intake.ts';
import type { Invoker } from '../function/invoker.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { Consumption, EventLog, Partition, RecordSink, StoredRecord } from '../ports/event-log.ts';
import { type ArriveOptions, arrive } from './arrive.ts';
import { type BatchLimits, SINGLE } from './batch.ts';
import type { Breaker } from './breaker.ts';
import type { Delivery } from './call.ts';
import { Deliverer } from './deliver.ts';
import { Feed } from './feed.ts';
import type { Pace } from './pace.ts';
import { wantedBy } from './redrive.ts';
import { Remembered } from './remembered.ts';

export interface SubscriptionRunOptions extends ArriveOptions {
  /** The store that remembers deliveries; null without `dedupe`. */
  store: DedupeStore | null;
  invoker: Invoker;
  breaker: Breaker;
  pace: Pace;
  log: EventLog;
  now: () => number;
  random: () => number;
  /** Reading stopped because of an error. The run cannot go on. */
  failed(error: Error): void;
}

/** A consumer group that rebalances waits at most so long for a member to give up its partitions. */
const MAX_RELEASE_MS = 20_000;

/** Reads a subscription's topics: from records to concluded deliveries and committed positions. */
export class SubscriptionRun implements RecordSink {
  readonly #options: SubscriptionRunOptions;
  readonly #commits: Commits;
  readonly #intake: Intake;
  readonly #feed: Feed;
  #deliverer: Deliverer;
  #remembered: Remembered | null;
  #consumption: Consumption | null = null;
  /** Set while partitions are given up: nothing new is begun. */
  #releasing: Promise<void> | null = null;
  readonly #stopping = new AbortController();
  #over = false;
  #releaseMs: number;
  #turning = false;
  readonly #idle = new Idle(() => this.#deliverer.isIdle && (this.#remembered?.isIdle ?? true));

  constructor(options: SubscriptionRunOptions) {
    const { subscription } = options;
    this.#options = options;
    const limits: BatchLimits = takesBatches(subscription.function) ? subscription.batch : SINGLE;
    this.#releaseMs = Math.min(subscription.timeout, MAX_RELEASE_MS);
    this.#commits = new Commits(async (positions) => {
      if (this.#consumption === null) throw new Error('not reading yet');
      await this.#consumption.commit(positions);
    });
    const { concurrency, order } = subscription;
    this.#intake = new Intake(concurrency, limits.events, order, this.#commits);
    this.#feed = new Feed({
      limits,
      laneLimit: order === 'key' ? this.#intake.laneLimit : null,
      breaker: options.breaker,
      pace: options.pace,
      sizeOf: (record) => options.invoker.sizeOf(record),
      resume: (call) => this.#deliverer.retries.resume(call),
      due: this.#turnSoon,
    });
    this.#deliverer = this.#makeDeliverer();
    this.#remembered = this.#makeRemembered();
  }

  /** Begins to read; resolves when the log says that it does. */
  async start(): Promise<void> {
    const { log, subscription } = this.#options;
    this.#consumption = await log.consume({ ...wantedBy(subscription), signal: this.#stopping.signal }, this);
    if (this.#over) await this.#consumption.stop();
    else this.#regulate();
  }

  /** Stops reading. Calls in flight may take `ms` to end; events concluded by then are committed. */
  async stop(ms: number): Promise<void> {
    this.#over = true;
    this.#releaseMs = Math.min(this.#releaseMs, ms);
    this.#stopping.abort();
    try {
      await this.#consumption?.stop();
    } finally {
      await this.revoked();
    }
  }

  /** Drops everything at once, because the partitions are lost already. */
  abandon(): void {
    this.#over = true;
    this.#stopping.abort();
    this.#forget();
    // Frees what the log holds for this run. Its failure is reported already.
    this.#consumption?.stop().catch(() => {});
  }

  assigned(partitions: Partition[]): void {
    if (!this.#over) this.#commits.assign(partitions);
  }

  records(partition: Partition, records: StoredRecord[], end: number): void {
    const holding = this.#commits.find(partition);
    if (holding === undefined || this.#isClosing) return;
    holding.end = end;
    const next = this.#remembered ?? this.#feed;
    const pass = (delivery: Delivery) => {
      this.#intake.add(delivery.size);
      next.push(delivery);
    };
    arrive(this.#options, holding, records, pass, (offset) => this.#commits.finish(holding, offset));
    this.#regulate();
    this.#turnSoon();
  }

  revoked(): Promise<void> {
    this.#releasing ??= this.#release().finally(() => {
      this.#releasing = null;
    });
    return this.#releasing;
  }

  failed(error: Error): void {
    if (this.#over) return;
    this.abandon();
    this.#options.failed(error);
  }

  get problem(): string | null {
    return this.#commits.problem;
  }

  get inflight(): number {
    return this.#deliverer.inflight;
  }

  get holdings(): Iterable<Holding> {
    return this.#commits.holdings;
  }

  /** Time of the oldest record that is held, in milliseconds since 1970; null when none is. */
  oldest(): number | null {
    let oldest: number | null = null;
    for (const held of [this.#feed, this.#deliverer.deliveries(), this.#remembered?.deliveries() ?? []]) {
      for (const { record } of held) {
        if (oldest === null || record.timestamp < oldest) oldest = record.timestamp;
      }
    }
    return oldest;
  }

  get #isClosing(): boolean {
    return this.#over || this.#releasing !== null;
  }

  async #release(): Promise<void> {
    this.#feed.clear();
    this.#remembered?.close();
    this.#deliverer.close();
    await this.#idle.wait(this.#releaseMs);
    await this.#commits.flush();
    this.#forget();
    this.#deliverer = this.#makeDeliverer();
    this.#remembered = this.#makeRemembered();
  }

  #forget(): void {
    this.#commits.forget();
    this.#feed.clear();
    this.#deliverer.abort();
    this.#remembered?.stop();
    this.#intake.reset();
    this.#idle.end();
  }

  /** Not at once: undici counts a connection as busy until its callback has returned. */
  readonly #turnSoon = (): void => {
    this.#idle.changed();
    if (this.#turning) return;
    this.#turning = true;
    queueMicrotask(this.#turn);
  };

  /** Begins as many calls as the pace allows. */
  readonly #turn = (): void => {
    const { pace } = this.#options;
    while (!this.#isClosing && this.#deliverer.inflight < pace.limit) {
      if (!this.#feed.begin(this.#deliverer)) break;
    }
    this.#turning = false;
    this.#regulate();
  };

  readonly #concluded = (delivery: Delivery, isDelivered: boolean): void => {
    this.#feed.concluded(delivery);
    if (this.#remembered === null) this.#settled(delivery);
    else this.#remembered.concluded(delivery, isDelivered);
  };

  readonly #settled = ({ holding, offset, size }: Delivery): void => {
    this.#intake.settle(size);
    this.#commits.finish(holding, offset);
  };

  #regulate(): void {
    if (this.#consumption === null || this.#isClosing) return;
    this.#intake.regulate(this.#consumption, !this.#feed.wantsMore, {
      isDoubtful: this.#options.breaker.isDoubtful,
      parked: this.#feed.parked,
      waiting: this.#deliverer.retries.events,
    });
  }

  #makeDeliverer(): Deliverer {
    return new Deliverer({ ...this.#options, settled: this.#concluded, changed: this.#turnSoon });
  }

  #makeRemembered(): Remembered | null {
    const { subscription, store, report } = this.#options;
    if (store === null) return null;
    return new Remembered({
      subscription,
      store,
      report,
      pass: (delivery) => this.#feed.push(delivery),
      settled: this.#settled,
      changed: this.#turnSoon,
    });
  }
}
