import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Listener } from '../adapters/runtime/listen.ts';
import { nodePlatform } from '../adapters/runtime/node-platform.ts';
import { logWarnings, makeLogger } from '../adapters/telemetry/logging.ts';
import { tracedAppender, tracedLog } from '../adapters/telemetry/traced-log.ts';
import { makeAdmin } from '../admin/app.ts';
import type { Config } from '../config/config.ts';
import { within } from '../core/lifecycle.ts';
import { formatProblem, type Problem } from '../core/problem.ts';
import { makeListeners } from './listeners.ts';
import { bootstrapServers } from './log.ts';
import { observe, type Running } from './observe.ts';
import { openStores, type Role } from './stores.ts';

export interface RunOptions {
  config: Config;
  /** Folder that relative paths of the config start from. */
  base: string;
  /** Folder for embedded stores with a relative path; default: `base`. */
  data?: string;
  roles: Role[];
  version: string;
  /** Milliseconds between failing readiness and closing the public port. Load balancers notice it in that time. */
  drain?: number;
}

/** An OpenTelemetry SDK registers itself under this symbol, for all copies of its API. */
const SDK = Symbol.for('opentelemetry.js.api.1');
/** Milliseconds to close the other stores after the spool. The log alone waits a second for appends in flight. */
const CLOSE_MS = 3000;

/** Runs the roles until SIGTERM or SIGINT and until their work is finished. All parts are connected here. */
export async function run(options: RunOptions): Promise<void> {
  const { config, base, version, roles } = options;
  const logger = makeLogger(config.logLevel);
  logWarnings(logger);
  const platform = nodePlatform();
  const listeners = makeListeners(config, logger);
  const schemas = roles.includes('gateway')
    ? await (await import('../schema/load.ts')).openSchemas(resolve(base, config.schemas), (problems) =>
        logProblems(logger, problems),
      )
    : null;
  const tracing =
    SDK in globalThis ? (await import('../adapters/telemetry/opentelemetry.ts')).openTracing(version) : null;
  const system = 'kafka' in config.log.store ? 'kafka' : 'sqlite';
  const stores = await openStores(config, options.data ?? base, roles, logger);
  const { log, spool, dedupe, rates, windows } = stores;
  const none = { gateway: null, dispatcher: null, streams: null, workflows: null };
  const running: Running = { stopping: false, ...none };
  const { admin, report } = observe({ config, version, logger, listeners, stores, schemas }, running);

  let ingest: Listener | null = null;
  // The gateway must know ids of the process before it, or it would store events again that clients repeat.
  await stores.dedupeOpened();
  if (schemas !== null && dedupe !== null) {
    const [{ makeGateway }, { makeLimiter }] = await Promise.all([
      import('../gateway/app.ts'),
      import('../gateway/rate/rate-limiter.ts'),
    ]);
    const gateway = makeGateway({
      config,
      schemas: schemas.set,
      log: tracing === null ? (spool ?? log) : tracedAppender(spool ?? log, tracing, system),
      tracing,
      dedupe: dedupe.store,
      limiter: makeLimiter({ sources: config.sources.values(), store: rates, digests: platform }),
      platform,
      report,
    });
    running.gateway = gateway;
    ingest = await listeners.openIngest((request, env) => gateway.app.fetch(request, env));
  }
  const adminApp = makeAdmin(admin);
  const adminListener = await listeners.openAdmin((request) => adminApp.fetch(request));
  if (roles.includes('dispatcher')) await startDispatchers();
  const address = ingest && config.gateway.listen.host;
  const ports = { listen: address, ingest: ingest?.port, admin: adminListener.port };
  logger.info({ version, roles, ...ports }, 'ready');

  await stopSignal(logger);
  running.stopping = true;
  running.gateway?.beginStop();
  const finished = await within(config.grace, stop());
  if (!finished)
    logger.error({ graceMs: config.grace }, 'the grace time is over; unfinished work stays unacknowledged');
  else logger.info('stopped');
  // kafkajs and ioredis may hold timers of abandoned requests.
  process.exit(finished ? 0 : 1);

  async function startDispatchers(): Promise<void> {
    const common = {
      log: tracing === null ? log : tracedLog(log, tracing, system),
      tracing,
      report,
      bootstrapServers: bootstrapServers(config),
    };
    const { startDispatcher } = await import('../dispatcher/subscriptions.ts');
    running.dispatcher = await startDispatcher({
      ...common,
      subscriptions: [...config.subscriptions.values()],
      remember: ({ dedupe: window }) => stores.deliveries.get(window!)?.store ?? null,
    });
    if (windows !== null) {
      const { startStreams } = await import('../streams/streams.ts');
      const streams = [...config.streams.values()];
      running.streams = await startStreams({ ...common, streams, reader: stores.reader, store: windows });
    }
    if (config.workflows.size > 0) {
      const { startWorkflows } = await import('../workflows/workflows.ts');
      running.workflows = await startWorkflows({ ...common, workflows: [...config.workflows.values()] });
    }
  }

  async function stop(): Promise<void> {
    const { grace } = config;
    const started = performance.now();
    await Promise.all([
      closeIngest(),
      running.dispatcher?.stop(grace),
      running.workflows?.stop(grace),
      running.streams?.stop(grace),
    ]);
    const rest = Math.max(grace * 0.1, Math.min(CLOSE_MS, grace * 0.4));
    await stores.close(grace - rest - (performance.now() - started));
    schemas?.close();
    await adminListener.close();
    platform.stop();
  }

  async function closeIngest(): Promise<void> {
    if (ingest === null) return;
    await listeners.closeIngest(ingest, options.drain);
    await running.gateway?.settled();
  }
}

function logProblems(logger: Logger, problems: Problem[]): void {
  for (const problem of problems)
    logger[problem.level === 'error' ? 'error' : 'warn'](formatProblem(problem));
}

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once. */
function stopSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) process.exit(1);
      asked = true;
      logger.info({ signal }, 'stopping');
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
