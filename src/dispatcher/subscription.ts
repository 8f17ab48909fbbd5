import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { lagOf } from '../consume/commits.ts';
import { type Filter, makeFilter } from '../filter/filter.ts';
import type { Invoker } from '../function/invoker.ts';
import { retryWait } from '../function/retry.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import { Breaker } from './breaker.ts';
import { Pace } from './pace.ts';
import { SubscriptionRun } from './run.ts';
import { WarmInvoker } from './warm.ts';

const RESTART = { attempts: Number.POSITIVE_INFINITY, min: 1_000, max: 60_000 };
/** After so long a time of reading, a failure counts as the first again. */
const HEALTHY_MS = 60_000;
/** The part of the grace period for calls; the rest is for commits. */
const CALLS_SHARE = 0.75;

export interface SubscriptionOptions {
  config: SubscriptionConfig;
  invoker: Invoker;
  store: DedupeStore | null;
  log: EventLog;
  report: Report;
  now: () => number;
  random: () => number;
}

/** One subscription: a run, and a new run after each one that failed. */
export class Subscription {
  readonly name: string;
  readonly #options: SubscriptionOptions;
  readonly #filter: Filter | null;
  readonly #invoker: Invoker;
  /** It outlives a run: the function does not get better when the reader fails. */
  readonly breaker: Breaker;
  readonly #pace: Pace;
  run: SubscriptionRun;
  #error: string | null = null;
  #failures = 0;
  #startedAt = 0;
  #starting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: SubscriptionOptions) {
    const { name, concurrency } = options.config;
    this.name = name;
    this.#options = options;
    this.#filter = makeFilter(options.config);
    this.#invoker = warmInvoker(options, () => !this.breaker.isOpen && this.run.inflight === 0);
    this.breaker = new Breaker({
      subscription: name,
      concurrency,
      clock: () => performance.now(),
      random: options.random,
      changed: options.report,
    });
    this.#pace = new Pace(options.config);
    this.run = this.#makeRun();
  }

  get problem(): string | null {
    const text = this.#error ?? this.run.problem;
    return text === null ? null : `subscription ${this.name}: ${text}`;
  }

  /** Does not reject: a log that does not answer is tried again. */
  start(): Promise<void> {
    this.#startedAt = performance.now();
    const { run } = this;
    this.#starting = run.start().then(
      () => {
        if (run === this.run) this.#error = null;
      },
      (error: Error) => run.failed(error),
    );
    return this.#starting;
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const stopping = this.run.stop(graceMs * CALLS_SHARE);
    await Promise.allSettled([stopping, this.#starting]);
    await this.#invoker.close();
  }

  lag(): { subscription: string; topic: string; partition: number; value: number }[] {
    const known = [];
    for (const holding of this.run.holdings) {
      const value = lagOf(holding);
      const { topic, partition } = holding;
      if (value !== null) known.push({ subscription: this.name, topic, partition, value });
    }
    return known;
  }

  #makeRun(): SubscriptionRun {
    const { config, store, log, report, now, random } = this.#options;
    return new SubscriptionRun({
      subscription: config,
      filter: this.#filter,
      store,
      invoker: this.#invoker,
      breaker: this.breaker,
      pace: this.#pace,
      log,
      report,
      now,
      random,
      failed: (error) => this.#restart(error),
    });
  }

  #restart(error: Error): void {
    if (this.#stopped) return;
    this.#error = error.message;
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#failures = 0;
    const wait = RESTART.min + retryWait(++this.#failures, RESTART, null, this.#options.random);
    this.#timer = setTimeout(() => {
      this.run = this.#makeRun();
      void this.start();
    }, wait);
  }
}

function warmInvoker({ invoker, config, random }: SubscriptionOptions, isQuiet: () => boolean): Invoker {
  if (config.warm === null) return invoker;
  return new WarmInvoker({ invoker, after: config.warm, random, isQuiet });
}
