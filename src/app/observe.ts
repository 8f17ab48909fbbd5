import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { combineReports } from '../adapters/telemetry/combine.ts';
import { logReport } from '../adapters/telemetry/logging.ts';
import { prometheusReport } from '../adapters/telemetry/prometheus.ts';
import { streamMetrics } from '../adapters/telemetry/prometheus-streams.ts';
import { workflowMetrics } from '../adapters/telemetry/prometheus-workflows.ts';
import type { AdminParts } from '../admin/app.ts';
import { health } from '../admin/readiness.ts';
import type { Config } from '../config/config.ts';
import type { Dispatcher } from '../dispatcher/subscriptions.ts';
import type { Gateway } from '../gateway/app.ts';
import type { Report } from '../ports/report.ts';
import type { OpenSchemas } from '../schema/load.ts';
import type { Streams } from '../streams/streams.ts';
import type { Workflows } from '../workflows/workflows.ts';
import type { Listeners } from './listeners.ts';
import type { Stores } from './stores.ts';

/** The state of the process. A part is null until it runs, and where its role does not run. */
export interface Running {
  stopping: boolean;
  gateway: Gateway | null;
  dispatcher: Dispatcher | null;
  streams: Streams | null;
  workflows: Workflows | null;
}

/** The parts of a process that are there before it runs. */
export interface Prepared {
  config: Config;
  version: string;
  logger: Logger;
  listeners: Listeners;
  stores: Stores;
  /** Null without the role gateway. */
  schemas: OpenSchemas | null;
}

/** Makes what the admin port shows of the process, and the report that all parts of the process write to. */
export function observe(prepared: Prepared, running: Running): { admin: AdminParts; report: Report } {
  const { config, version, logger, listeners, schemas } = prepared;
  const { log, spool, dedupe } = prepared.stores;
  const parts = {
    access: { ...config.admin, hostname: hostname() },
    stopping: () => running.stopping,
    log: () => log.problem(),
    spool: () => spool,
    dedupe: () => dedupe?.problem() ?? null,
    outage: config.dedupe.outage,
    schemas: () => schemas?.problems() ?? [],
    dispatcher: () =>
      running.dispatcher?.problem() ?? running.streams?.problem() ?? running.workflows?.problem() ?? null,
    workflows: () => running.workflows,
    descriptors: () => listeners.problem(),
  };
  const metrics = prometheusReport({
    sources: [...config.sources.keys()],
    subscriptions: [...config.subscriptions.keys()],
    version,
    bufferedBytes: () => running.gateway?.bufferedBytes() ?? 0,
    bufferedMax: config.gateway.limits.buffered,
    spool: () => spool,
    health: () => health(parts),
    schemas: () => schemas?.set().names().length ?? 0,
    schemaProblems: () => schemas?.problems().length ?? 0,
    inflight: () => running.dispatcher?.inflight() ?? [],
    lag: () => running.dispatcher?.lag() ?? [],
    oldest: () => running.dispatcher?.oldest() ?? [],
    open: () => running.dispatcher?.open() ?? [],
  });
  const workflowReport = workflowMetrics(metrics.registry, {
    instances: () => running.workflows?.instances() ?? [],
    oldest: () => running.workflows?.oldest() ?? [],
    lag: () => running.workflows?.lag() ?? [],
  });
  const streamReport = streamMetrics(metrics.registry, [...config.streams.keys()], {
    open: () => running.streams?.open() ?? [],
    watermark: () => running.streams?.watermark() ?? [],
    lag: () => running.streams?.lag() ?? [],
  });
  return {
    admin: { ...parts, metrics: metrics.metrics, contentType: metrics.contentType },
    report: combineReports(metrics.report, streamReport, workflowReport, logReport(logger)),
  };
}
