import type { Logger } from 'pino';
import { watchDescriptors } from '../adapters/runtime/descriptors.ts';
import { type Listener, type ListenOptions, listen } from '../adapters/runtime/listen.ts';
import type { Config } from '../config/config.ts';
import { makeAddressTest } from '../core/address.ts';

/** The ports of the process, and the file descriptors that their connections take. */
export interface Listeners {
  openIngest(fetch: ListenOptions['fetch']): Promise<Listener>;
  openAdmin(fetch: ListenOptions['fetch']): Promise<Listener>;
  /** Closes the public port; `drain` as in `RunOptions`. Resolves when every request is answered. */
  closeIngest(ingest: Listener, drain: number | undefined): Promise<void>;
  /** A text when few file descriptors are left, else null. */
  problem(): string | null;
}

/** Milliseconds between failing readiness and closing the port. Load balancers notice it in that time. */
const DRAIN_MS = 1000;
/** Milliseconds after that until idle connections are closed. */
const IDLE_MS = 5000;
/** Connections that are accepted even with very few file descriptors. */
const MIN_CONNECTIONS = 8;
/** Listening sockets of the public port. In tests under attack more sockets did not help further. */
const SOCKETS = 16;
/** Connections of the admin port, which has few clients. */
const ADMIN = { total: 256, perAddress: 128 };

/** Makes the listeners without opening a port. */
export function makeListeners(config: Config, logger: Logger): Listeners {
  const { keepAlive, limits, proxies } = config.gateway;
  let ingest: Listener | null = null;
  const files = watchDescriptors({
    onCount(used) {
      // Other descriptors can grow, such as connections to functions. Then clients get fewer.
      ingest?.resize(Math.max(MIN_CONNECTIONS, files.limit - 2 * files.reserve - (used - ingest.size())));
    },
    onChange(problem) {
      if (problem === null) logger.info('file descriptors: there are enough again');
      else logger.error(problem);
    },
  });
  // A quarter is for the log, Redis, functions and files.
  const total = Math.min(limits.connections, Math.max(MIN_CONNECTIONS, Math.floor(files.limit * 0.75)));
  const isFewer = total < limits.connections;
  const common = { keepAlive, maxHeaders: limits.headers };
  return {
    async openIngest(fetch) {
      if (isFewer)
        logger.warn(
          { connections: total, limit: files.limit },
          `gateway.limits.connections: ${limits.connections} is more than the limit of file descriptors allows (ulimit -n), so at most ${total} are accepted`,
        );
      // One address must not take all connections when there are fewer.
      const perAddress = isFewer
        ? Math.min(limits.connectionsPerAddress, Math.ceil(total / 2))
        : limits.connectionsPerAddress;
      ingest = await listen({
        address: config.gateway.listen,
        sockets: SOCKETS,
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
      // From now on each answer closes its connection. Idle connections stay for a while, as a request may be on its way.
      const idle = drain === 0 ? 0 : Math.min(IDLE_MS, grace / 4);
      // Half of the grace is for requests in progress, the rest for the other parts of the process.
      const stalled = Math.max(idle, grace / 2 - (performance.now() - started));
      await listener.close({ idle, stalled });
    },
    problem: () => files.problem(),
  };
}
