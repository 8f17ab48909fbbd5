import type { Logger } from 'pino';
import { watchDescriptors } from '../adapters/runtime/descriptors.ts';
import { type Listener, type ListenOptions, listen } from '../adapters/runtime/listen.ts';
import type { Config } from '../config/config.ts';
import { makeAddressTest } from '../core/address.ts';

/** The ports of the process, and the file descriptors that their connections take. */
export interface Listeners {
  openIngest(fetch: ListenOptions['fetch']): Promise<Listener>;
  openAdmin(fetch: ListenOptions['fetch']): Promise<Listener>;
  /** Closes the public port; `drain` as in `RunOptions`. Resolves when all that was asked is answered. */
  closeIngest(ingest: Listener, drain: number | undefined): Promise<void>;
  /** That file descriptors run out, or null. */
  problem(): string | null;
}

/** Milliseconds between failing readiness and closing the port, in which balancers look elsewhere. */
const DRAIN_MS = 1000;
/** Milliseconds until connections that stay idle after that are closed. */
const IDLE_MS = 5000;
/** Connections that are taken even when file descriptors are very few. */
const MIN_CONNECTIONS = 8;
/** Of the admin port, whose few clients we know. */
const ADMIN = { total: 256, perAddress: 128 };

/** Makes the listeners; nothing is open yet. */
export function makeListeners(config: Config, logger: Logger): Listeners {
  const { keepAlive, limits, proxies } = config.gateway;
  let ingest: Listener | null = null;
  const files = watchDescriptors({
    onCount(used) {
      // What else is open can grow, such as connections to functions: those of clients make room.
      ingest?.resize(Math.max(MIN_CONNECTIONS, files.limit - 2 * files.reserve - (used - ingest.size())));
    },
    onChange(problem) {
      if (problem === null) logger.info('file descriptors: there are enough again');
      else logger.error(problem);
    },
  });
  // The rest is for the log, Redis, functions and files.
  const total = Math.min(limits.connections, Math.max(MIN_CONNECTIONS, Math.floor(files.limit * 0.75)));
  const isFewer = total < limits.connections;
  const common = { keepAlive, maxHeaders: limits.headers };
  return {
    async openIngest(fetch) {
      if (isFewer)
        logger.warn(
          { connections: total, limit: files.limit },
          `gateway.limits.connections: ${limits.connections} is more than the limit of file descriptors allows (ulimit -n): at most ${total} are taken`,
        );
      // One address must not be able to have all of few.
      const perAddress = isFewer
        ? Math.min(limits.connectionsPerAddress, Math.ceil(total / 2))
        : limits.connectionsPerAddress;
      ingest = await listen({
        address: config.gateway.listen,
        ...common,
        connections: { headTime: limits.headTime, total, perAddress, isExempt: makeAddressTest(proxies) },
        fetch,
      });
      return ingest;
    },
    openAdmin(fetch) {
      const most = Math.max(4, Math.floor(files.limit / 16));
      return listen({
        address: config.admin.listen,
        ...common,
        connections: {
          headTime: limits.headTime,
          total: Math.min(ADMIN.total, most),
          perAddress: Math.min(ADMIN.perAddress, most),
          isExempt: () => false,
        },
        fetch,
      });
    },
    async closeIngest(listener, drain = DRAIN_MS) {
      const started = performance.now();
      const { grace } = config;
      await new Promise((next) => setTimeout(next, Math.min(drain, grace / 4)));
      // Each answer now ends its connection; one that gets none would rather be used than closed under a request.
      const idle = drain === 0 ? 0 : Math.min(IDLE_MS, grace / 4);
      // Then the rest of the grace is for what is in work, and for closing all else.
      const stalled = Math.max(idle, grace / 2 - (performance.now() - started));
      await listener.close({ idle, stalled });
    },
    problem: () => files.problem(),
  };
}
