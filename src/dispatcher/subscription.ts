import { takesBatches } from '../config/function/types.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { type Holding, lagOf } from '../consume/commits.ts';
import { Idle } from '../consume/idle.ts';
import { Intake } from '../consume/intake.ts';
import { Member, type Work } from '../consume/member.ts';
import { makeFilter } from '../filter/filter.ts';
import type { Invoker } from '../function/invoker.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { EventLog, StoredRecord } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import { type ArriveOptions, arrive } from './arrive.ts';
import { type BatchLimits, SINGLE } from './batch.ts';
import { Breaker } from './breaker.ts';
import type { Delivery } from './call.ts';
import { Deliverer } from './deliver.ts';
import { Feed } from './feed.ts';
import { Pace } from './pace.ts';
import { wantedBy } from './redrive.ts';
import { Remembered } from './remembered.ts';
import { WarmInvoker } from './warm.ts';

export interface SubscriptionOptions {
  config: SubscriptionConfig;
  invoker: Invoker;
  /** The store that remembers deliveries; null without `dedupe`. */
  store: DedupeStore | null;
  log: EventLog;
  report: Report;
  now: () => number;
  random: () => number;
}

/** One subscription: from the records of its topics to concluded deliveries and committed positions. */
export class Subscription implements Work {
  readonly name: string;
  readonly #options: SubscriptionOptions & ArriveOptions;
  readonly #member: Member;
  readonly #invoker: Invoker;
  readonly breaker: Breaker;
  readonly #pace: Pace;
  readonly #intake: Intake;
  readonly #feed: Feed;
  #deliverer: Deliverer;
  #remembered: Remembered | null;
  #turning = false;
  readonly #idle = new Idle(() => this.#deliverer.isIdle && (this.#remembered?.isIdle ?? true));

  constructor(options: SubscriptionOptions) {
    const { config, invoker, log, random, report } = options;
    const { name, concurrency, order, timeout } = config;
    this.name = name;
    this.#options = { ...options, subscription: config, filter: makeFilter(config) };
    const isQuiet = () => !this.breaker.isOpen && this.inflight === 0;
    this.#invoker =
      config.warm === null ? invoker : new WarmInvoker({ invoker, after: config.warm, random, isQuiet });
    const clock = () => performance.now();
    this.breaker = new Breaker({ subscription: name, concurrency, clock, random, changed: report });
    this.#pace = new Pace(config);
    const limits: BatchLimits = takesBatches(config.function) ? config.batch : SINGLE;
    this.#intake = new Intake(concurrency, limits.events, order);
    this.#member = new Member({
      log,
      reads: wantedBy(config),
      work: this,
      random,
      releaseMs: timeout,
      pauses: () =>
        this.#intake.pauses(!this.#feed.wantsMore, {
          isDoubtful: this.breaker.isDoubtful,
          parked: this.#feed.parked,
          waiting: this.#deliverer.retries.events,
        }),
    });
    this.#feed = new Feed({
      limits,
      laneLimit: order === 'key' ? this.#intake.laneLimit : null,
      breaker: this.breaker,
      pace: this.#pace,
      sizeOf: (record) => this.#invoker.sizeOf(record),
      resume: (call) => this.#deliverer.retries.resume(call),
      due: this.#turnSoon,
    });
    this.#deliverer = this.#makeDeliverer();
    this.#remembered = this.#makeRemembered();
  }

  start(): Promise<void> {
    return this.#member.start();
  }

  async stop(graceMs: number): Promise<void> {
    await this.#member.stop(graceMs);
    await this.#invoker.close();
  }

  take(holding: Holding, records: StoredRecord[]): void {
    const next = this.#remembered ?? this.#feed;
    const pass = (delivery: Delivery) => {
      this.#intake.add(delivery.size);
      next.push(delivery);
    };
    arrive(this.#options, holding, records, pass, (offset) => this.#member.commits.finish(holding, offset));
    this.#turnSoon();
  }

  release(): Promise<void> {
    this.#feed.clear();
    this.#remembered?.close();
    this.#deliverer.close();
    return this.#idle.wait();
  }

  forget(): void {
    this.#feed.clear();
    this.#deliverer.abort();
    this.#remembered?.stop();
    this.#intake.reset();
    this.#deliverer = this.#makeDeliverer();
    this.#remembered = this.#makeRemembered();
  }

  get problem(): string | null {
    const { problem } = this.#member;
    return problem === null ? null : `subscription ${this.name}: ${problem}`;
  }

  lag(): { subscription: string; topic: string; partition: number; value: number }[] {
    return lagOf(this.#member.commits.holdings).map((lag) => ({ subscription: this.name, ...lag }));
  }

  get inflight(): number {
    return this.#deliverer.inflight;
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

  /** Not at once: undici counts a connection as busy until its callback has returned. */
  readonly #turnSoon = (): void => {
    this.#idle.changed();
    if (this.#turning) return;
    this.#turning = true;
    queueMicrotask(this.#turn);
  };

  /** Begins as many calls as the pace allows. */
  readonly #turn = (): void => {
    while (!this.#member.isClosing && this.#deliverer.inflight < this.#pace.limit) {
      if (!this.#feed.begin(this.#deliverer)) break;
    }
    this.#turning = false;
    this.#member.regulate();
  };

  readonly #concluded = (delivery: Delivery, isDelivered: boolean): void => {
    this.#feed.concluded(delivery);
    if (this.#remembered === null) this.#settled(delivery);
    else this.#remembered.concluded(delivery, isDelivered);
  };

  readonly #settled = ({ holding, offset, size }: Delivery): void => {
    this.#intake.settle(size);
    this.#member.commits.finish(holding, offset);
  };

  #makeDeliverer(): Deliverer {
    return new Deliverer({
      ...this.#options,
      invoker: this.#invoker,
      breaker: this.breaker,
      pace: this.#pace,
      settled: this.#concluded,
      changed: this.#turnSoon,
    });
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
