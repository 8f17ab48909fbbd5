import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { within } from '../core/lifecycle.ts';
import { makeInvoker } from '../function/make.ts';
import { tracedInvoker } from '../function/trace.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import { Subscription } from './subscription.ts';

export interface DispatcherOptions {
  subscriptions: SubscriptionConfig[];
  log: EventLog;
  report: Report;
  /** Default: no traces. */
  tracing?: Tracing | null;
  /** The brokers named in Lambda events: host:port, joined by commas. Default: none. */
  bootstrapServers?: string;
  /** The store that remembers the deliveries of a subscription with `dedupe`, for as long as that says. */
  remember?: (subscription: SubscriptionConfig) => DedupeStore | null;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** From 0 to below 1. */
  random?: () => number;
}

export interface Dispatcher {
  /** Events not concluded per partition; only partitions where it is known. */
  lag(): { subscription: string; topic: string; partition: number; value: number }[];
  /** Calls in flight. */
  inflight(): { subscription: string; value: number }[];
  /** Age in seconds of the oldest event that is held; only subscriptions that hold one. */
  oldest(): { subscription: string; value: number }[];
  /** 1 for each subscription whose breaker is open, else 0. */
  open(): { subscription: string; value: number }[];
  /** The first problem, or null. A function that is down is none. */
  problem(): string | null;
  /** Ends all subscriptions at the same time. Events not concluded in `graceMs` milliseconds are read again at the next start. */
  stop(graceMs: number): Promise<void>;
}

/** The start waits so long for a log that does not answer. */
const START_MS = 10_000;

/**
 * Reads each subscription's topics and calls its function. Resolves when all of them read, or have tried to. Rejects on
 * a filter or function that cannot be used.
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
    inflight: () => subscriptions.map(({ name, inflight }) => ({ subscription: name, value: inflight })),
    oldest: () =>
      subscriptions.flatMap((one) => {
        const time = one.oldest();
        return time === null ? [] : [{ subscription: one.name, value: Math.max(0, now() - time) / 1000 }];
      }),
    open: () =>
      subscriptions.map(({ name, breaker }) => ({ subscription: name, value: breaker.isOpen ? 1 : 0 })),
    problem: () => subscriptions.map(({ problem }) => problem).find((text) => text !== null) ?? null,
    async stop(graceMs) {
      await within(graceMs, Promise.all(subscriptions.map((subscription) => subscription.stop(graceMs))));
    },
  };
}
