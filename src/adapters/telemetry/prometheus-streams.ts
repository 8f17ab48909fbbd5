import { Counter, type Registry } from 'prom-client';
import type { Report } from '../../ports/report.ts';
import { type Sample, scrapedGauge } from './scraped.ts';

export interface StreamGauges {
  /** Windows that are open in this process. */
  open(): Sample<'stream'>[];
  /** Seconds that the watermark is behind the clock; only streams that have one. */
  watermark(): Sample<'stream'>[];
  /** Only partitions whose lag is known. */
  lag(): Sample<'stream' | 'topic' | 'partition'>[];
}

const STATES = ['lost', 'replayed', 'restored', 'redefined'] as const;

/** Adds the metrics of streams. `streams`: the names in the config. */
export function streamMetrics(registry: Registry, streams: readonly string[], gauges: StreamGauges): Report {
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name: `postern_stream_${name}_total`, help, labelNames: ['stream'] as const, registers });
  const counters = {
    events: counter('events', 'Events that windows were asked to count.'),
    emitted: counter('emitted', 'Windows whose results were emitted.'),
    late: counter('late', 'Events that came after all their windows had ended.'),
    future: counter('future', 'Events too far in the future, which are not counted in windows.'),
    full: counter('full', 'Events for which no window was opened, as maxOpenWindows were open.'),
    tooManyHops: counter(
      'too_many_hops',
      'Events in a loop of streams and replies, which are not counted in windows.',
    ),
    filterErrors: counter('filter_errors', 'Events for which the filter failed, which are left out.'),
    keyless: counter('keyless', 'Events without a key, which are left out.'),
    tooLarge: counter(
      'too_large',
      'Events not counted, or results not emitted: the log takes no such record.',
    ),
  };
  const counts = Object.keys(counters) as (keyof typeof counters)[];
  const states = new Counter({
    name: 'postern_stream_state_total',
    help: 'Partitions whose state the store had forgotten (lost, replayed, restored), or whose stream was redefined.',
    labelNames: ['stream', 'state'] as const,
    registers,
  });
  // They begin at 0, so that Prometheus sees the first increase of each.
  for (const stream of streams) {
    for (const name of counts) counters[name].inc({ stream }, 0);
    for (const state of STATES) states.inc({ stream, state }, 0);
  }
  scrapedGauge(
    registry,
    'stream_open_windows',
    'Windows of keys that are open; of sliding ones, panes.',
    ['stream'],
    gauges.open,
  );
  scrapedGauge(
    registry,
    'stream_watermark_seconds',
    'How far the watermark of the slowest partition is behind the clock.',
    ['stream'],
    gauges.watermark,
  );
  scrapedGauge(
    registry,
    'stream_lag_events',
    'Events of a partition that the stream has not read yet.',
    ['stream', 'topic', 'partition'],
    gauges.lag,
  );
  return (fact) => {
    if (fact.kind !== 'stream') return;
    const { stream, state } = fact;
    for (const name of counts) if (fact[name]) counters[name].inc({ stream }, fact[name]);
    if (state !== undefined) states.inc({ stream, state });
  };
}
