import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from 'pino';
import type { Spool } from '../adapters/sqlite/spool.ts';
import { type WatchedDedupe, watchDedupe } from '../adapters/watch-dedupe.ts';
import type { Config } from '../config/config.ts';
import type { RateStore } from '../ports/rate-store.ts';
import type { WindowStore } from '../ports/window-store.ts';
import { type OpenLog, openLog, openSpool } from './log.ts';

export type Role = 'gateway' | 'dispatcher';

/** The stores that the roles of a process need; null for those of other roles. */
export interface Stores extends OpenLog {
  spool: Spool | null;
  dedupe: WatchedDedupe | null;
  /** By window in milliseconds. */
  deliveries: ReadonlyMap<number, WatchedDedupe>;
  windows: WindowStore | null;
  rates: RateStore | null;
  /** Resolves when the dedupe stores answer, or after some seconds. */
  dedupeOpened(): Promise<void>;
  /** `spoolMs`: milliseconds that the spool has to empty itself. */
  close(spoolMs: number): Promise<void>;
}

/** Milliseconds that a start waits for the dedupe store. Without it the gateway runs as `dedupe.outage` says. */
const DEDUPE_MS = 3000;

/** Opens all stores. `folder`: relative paths of embedded stores start there. */
export async function openStores(
  config: Config,
  folder: string,
  roles: readonly Role[],
  logger: Logger,
): Promise<Stores> {
  const isGateway = roles.includes('gateway');
  const isDispatcher = roles.includes('dispatcher');
  const { log, reader } = await openLog(config, folder, logger);
  const windows = isDispatcher ? await openWindows(config, folder, logger) : null;
  const spool = isGateway ? await openSpool(config, folder, log, logger) : null;
  const openDedupe = await dedupeOpener(config, folder, logger);
  const dedupe = isGateway ? openDedupe(config.dedupe.window) : null;
  const deliveries = isDispatcher ? openDeliveries(config, openDedupe) : new Map<number, WatchedDedupe>();
  const rates = isGateway ? await openRates(config, logger) : null;
  const remembering = [dedupe, ...deliveries.values()];
  return {
    ...{ log, reader, spool, dedupe, deliveries, windows, rates },
    async dedupeOpened() {
      await Promise.all(remembering.map((one) => one?.opened(DEDUPE_MS)));
    },
    async close(spoolMs) {
      await spool?.close(spoolMs);
      await log.close();
      await Promise.all(remembering.map((one) => one?.store.close()));
      await windows?.close();
      await rates?.close();
    },
  };
}

/**
 * Returns a function that opens a dedupe store with a window in milliseconds. Embedded stores share a file, which
 * closes with the first of them.
 */
async function dedupeOpener(
  config: Config,
  folder: string,
  logger: Logger,
): Promise<(window: number) => WatchedDedupe> {
  const { store, lease } = config.dedupe;
  const onError = (error: Error) => logger.error({ err: error }, 'dedupe store');
  if ('redis' in store) {
    const { redis } = store;
    const { redisDedupeStore } = await import('../adapters/redis/dedupe-store.ts');
    return (window) => watchDedupe(redisDedupeStore({ ...redis, window, lease, onError }));
  }
  const { path } = store.embedded;
  const { openDedupeDatabase, SqliteDedupeStore } = await import('../adapters/sqlite/dedupe-store.ts');
  let file: DatabaseSync | null = null;
  return (window) => {
    file ??= openDedupeDatabase(resolve(folder, path));
    return watchDedupe(new SqliteDedupeStore(file, { window, lease, onError }));
  };
}

/** Opens the stores that remember deliveries: one for each `dedupe` window of a subscription, in milliseconds. */
function openDeliveries(
  { subscriptions }: Config,
  open: (window: number) => WatchedDedupe,
): ReadonlyMap<number, WatchedDedupe> {
  const windows = new Set([...subscriptions.values()].flatMap(({ dedupe }) => dedupe ?? []));
  return new Map([...windows].map((window) => [window, open(window)]));
}

/** Opens the store of streams' windows; null without streams. */
async function openWindows(
  { streams, dedupe: { store } }: Config,
  folder: string,
  logger: Logger,
): Promise<WindowStore | null> {
  if (streams.size === 0) return null;
  if (!('redis' in store)) {
    const { sqliteWindowStore } = await import('../adapters/sqlite/window-store.ts');
    return sqliteWindowStore({ path: resolve(folder, store.embedded.path) });
  }
  const { redisWindowStore } = await import('../adapters/redis/window-store.ts');
  return redisWindowStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'window store'),
  });
}

/** Opens the store in which gateways share the rates of sources; null when no source has a rate, or the gateway is the only one. */
async function openRates({ sources, dedupe: { store } }: Config, logger: Logger): Promise<RateStore | null> {
  const limited = [...sources.values()].some(({ rate }) => rate.all !== null || rate.key !== null);
  if (!limited || !('redis' in store)) return null;
  const { redisRateStore } = await import('../adapters/redis/rate-store.ts');
  return redisRateStore({
    ...store.redis,
    onError: (error) => logger.error({ err: error }, 'rate store'),
  });
}
