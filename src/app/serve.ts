import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Listener } from '../adapters/runtime/listen.ts';
import { nodePlatform } from '../adapters/runtime/node-platform.ts';
import { combineReports } from '../adapters/telemetry/combine.ts';
import { logReport, logWarnings, makeLogger } from '../adapters/telemetry/logging.ts';
import { prometheusReport } from '../adapters/telemetry/prometheus.ts';
import { streamMetrics } from '../adapters/telemetry/prometheus-streams.ts';
import { workflowMetrics } from '../adapters/telemetry/prometheus-workflows.ts';
import { tracedAppender, tracedLog } from '../adapters/telemetry/traced-log.ts';
import type { WatchedDedupe } from '../adapters/watch-dedupe.ts';
import { health, makeAdmin } from '../admin/app.ts';
import type { Config } from '../config/config.ts';
import { within } from '../core/lifecycle.ts';
import { formatProblem, type Problem } from '../core/problem.ts';
import type { Dispatcher } from '../dispatcher/subscriptions.ts';
import type { Gateway } from '../gateway/app.ts';
import type { Streams } from '../streams/streams.ts';
import type { Workflows } from '../workflows/workflows.ts';
import { makeListeners } from './listeners.ts';
import {
  bootstrapServers,
  dedupeOpener,
  openDeliveries,
  openLog,
  openRates,
  openSpool,
  openWindows,
} from './stores.ts';

export type Role = 'gateway' | 'dispatcher';

export interface RunOptions {
  config: Config;
  /** Folder that relative paths of the config start from. */
  base: string;
  /** Folder for embedded stores with a relative path; default: `base`. */
  data?: string;
  roles: Role[];
  version: string;
  /** Milliseconds between failing readiness and closing the door, in which balancers look elsewhere. */
  drain?: number;
}

/** Where an OpenTelemetry SDK leaves what it registers, for all copies of its API. */
const SDK = Symbol.for('opentelemetry.js.api.1');
/** Milliseconds for closing all else when the spool has been: the log alone waits a second for what is in flight. */
const CLOSE_MS = 3000;
/** Milliseconds that a start waits for the dedupe store; without it the gateway runs as `outage` says. */
const DEDUPE_MS = 3000;

/** Runs the roles until SIGTERM or SIGINT and everything is finished. The one place where the parts meet. */
export async function run(options: RunOptions): Promise<void> {
  const { config, base, version } = options;
  const data = options.data ?? base;
  const logger = makeLogger(config.logLevel);
  logWarnings(logger);
  const platform = nodePlatform();
  const state = { stopping: false };
  const isGateway = options.roles.includes('gateway');
  const isDispatcher = options.roles.includes('dispatcher');
  const listeners = makeListeners(config, logger);

  const schemas = isGateway
    ? await (await import('../schema/load.ts')).openSchemas(resolve(base, config.schemas), (problems) =>
        logProblems(logger, problems),
      )
    : null;
  const tracing =
    SDK in globalThis ? (await import('../adapters/telemetry/opentelemetry.ts')).openTracing(version) : null;
  const system = 'kafka' in config.log.store ? 'kafka' : 'sqlite';
  const { log, reader } = await openLog(config, data, logger);
  const windows = isDispatcher ? await openWindows(config, data, logger) : null;
  const spool = isGateway ? await openSpool(config, data, log, logger) : null;
  const openDedupe = await dedupeOpener(config, data, logger);
  const dedupe = isGateway ? openDedupe(config.dedupe.window) : null;
  const deliveries = isDispatcher ? openDeliveries(config, openDedupe) : new Map<number, WatchedDedupe>();
  const rates = isGateway ? await openRates(config, logger) : null;
  let gateway: Gateway | null = null;
  let dispatcher: Dispatcher | null = null;
  let workflows: Workflows | null = null;
  let streams: Streams | null = null;

  const parts = {
    access: { ...config.admin, hostname: hostname() },
    stopping: () => state.stopping,
    log: () => log.problem(),
    spool: () => spool,
    dedupe: () => dedupe?.problem() ?? null,
    outage: config.dedupe.outage,
    schemas: () => schemas?.problems() ?? [],
    dispatcher: () => dispatcher?.problem() ?? streams?.problem() ?? workflows?.problem() ?? null,
    workflows: () => workflows,
    descriptors: () => listeners.problem(),
  };
  const metrics = prometheusReport({
    sources: [...config.sources.keys()],
    subscriptions: [...config.subscriptions.keys()],
    version,
    bufferedBytes: () => gateway?.bufferedBytes() ?? 0,
    bufferedMax: config.gateway.limits.buffered,
    spool: () => spool,
    health: () => health(parts),
    schemas: () => schemas?.set().names().length ?? 0,
    schemaProblems: () => schemas?.problems().length ?? 0,
    inflight: () => dispatcher?.inflight() ?? [],
    lag: () => dispatcher?.lag() ?? [],
    oldest: () => dispatcher?.oldest() ?? [],
    open: () => dispatcher?.open() ?? [],
  });
  const workflowReport = workflowMetrics(metrics.registry, {
    instances: () => workflows?.instances() ?? [],
    oldest: () => workflows?.oldest() ?? [],
    lag: () => workflows?.lag() ?? [],
  });
  const streamReport = streamMetrics(metrics.registry, [...config.streams.keys()], {
    open: () => streams?.open() ?? [],
    watermark: () => streams?.watermark() ?? [],
    lag: () => streams?.lag() ?? [],
  });
  const report = combineReports(metrics.report, streamReport, workflowReport, logReport(logger));

  let ingest: Listener | null = null;
  // Whoever sends again what a process before us has stored must not meet a gateway that does not know yet.
  await Promise.all([dedupe, ...deliveries.values()].map((store) => store?.opened(DEDUPE_MS)));
  if (schemas !== null && dedupe !== null) {
    const [{ makeGateway }, { makeLimiter }] = await Promise.all([
      import('../gateway/app.ts'),
      import('../gateway/rate/rate-limiter.ts'),
    ]);
    gateway = makeGateway({
      config,
      schemas: schemas.set,
      log: tracing === null ? (spool ?? log) : tracedAppender(spool ?? log, tracing, system),
      tracing,
      dedupe: dedupe.store,
      limiter: makeLimiter({ sources: config.sources.values(), store: rates, digests: platform }),
      platform,
      report,
    });
    const { app } = gateway;
    ingest = await listeners.openIngest((request, env) => app.fetch(request, env));
  }
  const admin = makeAdmin({ ...parts, metrics: metrics.metrics, contentType: metrics.contentType });
  const adminListener = await listeners.openAdmin((request) => admin.fetch(request));
  if (isDispatcher) {
    const subscriptions = [...config.subscriptions.values()];
    const { startDispatcher } = await import('../dispatcher/subscriptions.ts');
    dispatcher = await startDispatcher({
      subscriptions,
      log: tracing === null ? log : tracedLog(log, tracing, system),
      tracing,
      report,
      remember: ({ dedupe: window }) => deliveries.get(window!)?.store ?? null,
      bootstrapServers: bootstrapServers(config),
    });
    if (windows !== null) {
      const { startStreams } = await import('../streams/streams.ts');
      streams = await startStreams({
        streams: [...config.streams.values()],
        log: tracing === null ? log : tracedLog(log, tracing, system),
        reader,
        store: windows,
        report,
      });
    }
    if (config.workflows.size > 0) {
      const { startWorkflows } = await import('../workflows/workflows.ts');
      workflows = await startWorkflows({
        workflows: [...config.workflows.values()],
        log: tracing === null ? log : tracedLog(log, tracing, system),
        tracing,
        report,
        bootstrapServers: bootstrapServers(config),
      });
    }
  }
  const address = ingest && config.gateway.listen.host;
  const ports = { listen: address, ingest: ingest?.port, admin: adminListener.port };
  logger.info({ version, roles: options.roles, ...ports }, 'ready');

  await stopSignal(logger);
  state.stopping = true;
  gateway?.beginStop();
  const finished = await within(config.grace, stop());
  if (!finished)
    logger.error({ graceMs: config.grace }, 'grace time is over; what is not finished stays unacknowledged');
  else logger.info('stopped');
  // kafkajs and ioredis may hold timers of requests that were given up.
  process.exit(finished ? 0 : 1);

  async function stop(): Promise<void> {
    const started = performance.now();
    await Promise.all([
      closeIngest(),
      dispatcher?.stop(config.grace),
      workflows?.stop(config.grace),
      streams?.stop(config.grace),
    ]);
    const rest = Math.max(config.grace * 0.1, Math.min(CLOSE_MS, config.grace * 0.4));
    await spool?.close(config.grace - rest - (performance.now() - started));
    await log.close();
    await Promise.all([dedupe, ...deliveries.values()].map((one) => one?.store.close()));
    await windows?.close();
    await rates?.close();
    schemas?.close();
    await adminListener.close();
    platform.stop();
  }

  async function closeIngest(): Promise<void> {
    if (ingest === null) return;
    await listeners.closeIngest(ingest, options.drain);
    await gateway?.settled();
  }
}

function logProblems(logger: Logger, problems: Problem[]): void {
  for (const problem of problems)
    logger[problem.level === 'error' ? 'error' : 'warn'](formatProblem(problem));
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
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
