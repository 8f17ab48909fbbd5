import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Report } from '../../ports/report.ts';
import { combineReports } from './combine.ts';
import { type GatewayGauges, gatewayMetrics } from './prometheus-gateway.ts';
import { type SubscriptionGauges, subscriptionMetrics } from './prometheus-subscriptions.ts';
import { scrapedGauge } from './scraped.ts';

/** The functions are asked at each scrape. */
export interface PrometheusOptions extends GatewayGauges, SubscriptionGauges {
  /** Names from the config. */
  sources: string[];
  subscriptions: string[];
  version: string;
  /** The same as in the reply of /readyz. */
  health(): { ready: boolean; parts: Record<string, { state: string }> };
}

export interface PrometheusReport {
  report: Report;
  /** For further metrics. */
  registry: Registry;
  /** The text of a scrape. */
  metrics(): Promise<string>;
  contentType: string;
}

/** Counts facts as Prometheus metrics, in a registry of its own. */
export function prometheusReport(options: PrometheusOptions): PrometheusReport {
  const registry = new Registry();
  const report = combineReports(
    gatewayMetrics(registry, options.sources, options),
    subscriptionMetrics(registry, options.subscriptions, options),
  );
  processMetrics(registry, options);
  return { report, registry, metrics: () => registry.metrics(), contentType: registry.contentType };
}

function processMetrics(
  registry: Registry,
  { health, version }: Pick<PrometheusOptions, 'health' | 'version'>,
): void {
  scrapedGauge(registry, 'ready', '1 while /readyz answers 200, else 0.', [], () => [
    { value: health().ready ? 1 : 0 },
  ]);
  scrapedGauge(
    registry,
    'part_ok',
    '1 while /readyz finds nothing wrong with a part, else 0.',
    ['part'],
    () =>
      Object.entries(health().parts).map(([part, { state }]) => ({ part, value: state === 'ok' ? 1 : 0 })),
  );
  scrapedGauge(registry, 'memory_max_bytes', 'Memory that the container may use.', [], () => {
    const most = process.constrainedMemory();
    // Without a limit Node gives 0, or a number that no memory has.
    return most > 0 && most < Number.MAX_SAFE_INTEGER ? [{ value: most }] : [];
  });
  scrapedGauge(registry, 'build_info', 'The version that runs; always 1.', ['version'], () => [
    { version, value: 1 },
  ]);
  collectDefaultMetrics({ register: registry });
  // These gauges have names of counters, which promtool refuses. Each is the sum of the gauge without `_total`.
  for (const kind of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`nodejs_active_${kind}_total`);
}
