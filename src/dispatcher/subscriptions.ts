import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { lagOf } from '../consume/commits.ts';
import { type Filter, makeFilter } from '../filter/filter.ts';
import type { Invoker } from '../function/invoker.ts';
import { makeInvoker } from '../function/make.ts';
import { retryWait } from '../function/retry.ts';
import { tracedInvoker } from '../function/trace.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import { Breaker } from './breaker.ts';
import { Pace } from './pace.ts';
import { Run } from './run.ts';
import { WarmInvoker } from './warm.ts';

export interface DispatcherOptions {
  subscriptions: SubscriptionConfig[];
  log: EventLog;
  report: Report;
  /** Default: nobody traces. */
  tracing?: Tracing | null;
  /** Brokers that functions are told of: host:port, joined by commas; none unless given. */
  bootstrapServers?: string;
  /** Where deliveries of a subscription with `dedupe` are remembered, for as long as that says. */
  remember?: (subscription: SubscriptionConfig) => DedupeStore | null;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** From 0 to below 1. */
  random?: () => number;
}

export interface Dispatcher {
  /** Events not concluded per partition; only partitions where it is known. */
  lag(): { subscription: string; topic: string; partition: number; value: number }[];
  /** Calls on their way. */
  inflight(): { subscription: string; value: number }[];
  /** Age in seconds of the oldest event that is held; only subscriptions that hold one. */
  oldest(): { subscription: string; value: number }[];
  /** 1 for each subscription whose function is held to be down, else 0. */
  open(): { subscription: string; value: number }[];
  /** What is wrong, or null. A function that is down is not. */
  problem(): string | null;
  /** Ends all subscriptions at once. What is not concluded in `graceMs` milliseconds is left for the next start. */
  stop(graceMs: number): Promise<void>;
}

/** Milliseconds for which the start waits for a log that does not answer. */
const START_MS = 10_000;
const RESTART = { attempts: Number.POSITIVE_INFINITY, min: 1_000, max: 60_000 };
/** Milliseconds of reading after which a failure is not thought to be the same as the one before. */
const HEALTHY_MS = 60_000;
/** Part of the grace that calls may take; the rest is for commits. */
const CALLS_SHARE = 0.75;

/**
 * Reads each subscription's topics and calls its function. Resolves when all of them read, or at least tried
 * to. Rejects on a filter or function that cannot be used.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const { now = Date.now, random = Math.random, log, report, tracing = null } = options;
  const subscriptions = await Promise.all(
    options.subscriptions.map(async (config) => {
      const made = await makeInvoker(config, options.bootstrapServers ?? '', config.reply !== null);
      const invoker = tracing === null ? made : tracedInvoker(made, tracing, config);
      const store = config.dedupe === null ? null : (options.remember?.(config) ?? null);
      if (config.dedupe !== null && store === null)
        throw new TypeError(`subscription ${config.name}: there is no store for its dedupe`);
      return new Subscription({ config, invoker, store, log, report, now, random });
    }),
  );
  await within(START_MS, Promise.all(subscriptions.map((subscription) => subscription.start())));
  return {
    lag: () => subscriptions.flatMap((subscription) => subscription.lag()),
    inflight: () => subscriptions.map(({ name, run }) => ({ subscription: name, value: run.inflight })),
    oldest: () =>
      subscriptions.flatMap(({ name, run }) => {
        const time = run.oldest();
        return time === null ? [] : [{ subscription: name, value: Math.max(0, now() - time) / 1000 }];
      }),
    open: () =>
      subscriptions.map(({ name, breaker }) => ({ subscription: name, value: breaker.isOpen ? 1 : 0 })),
    problem: () => subscriptions.map(({ problem }) => problem).find((text) => text !== null) ?? null,
    async stop(graceMs) {
      await within(graceMs, Promise.all(subscriptions.map((subscription) => subscription.stop(graceMs))));
    },
  };
}

interface SubscriptionOptions {
  config: SubscriptionConfig;
  invoker: Invoker;
  store: DedupeStore | null;
  log: EventLog;
  report: Report;
  now: () => number;
  random: () => number;
}

/** One subscription: a run, and another after each that failed. */
class Subscription {
  readonly name: string;
  readonly #options: SubscriptionOptions;
  readonly #filter: Filter | null;
  readonly #invoker: Invoker;
  /** Outlives a run: the function is no better for a reader that fails. */
  readonly breaker: Breaker;
  readonly #pace: Pace;
  run: Run;
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

  /** Does not reject: a log that is away is tried again. */
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

  #makeRun(): Run {
    const { config, store, log, report, now, random } = this.#options;
    return new Run({
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

/** Waits for a promise, but not longer than `ms`. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
