import { Counter, Gauge, type Registry } from 'prom-client';
import type { Report, StreamFacts } from '../../ports/report.ts';

interface StreamGauge {
  stream: string;
  value: number;
}

export interface StreamGauges {
  /** Windows that are open in this process. */
  open(): StreamGauge[];
  /** Seconds that the watermark is behind the clock; only streams that have one. */
  watermark(): StreamGauge[];
  /** Only partitions whose lag is known. */
  lag(): (StreamGauge & { topic: string; partition: number })[];
}

const COUNTS = [
  'events',
  'emitted',
  'late',
  'future',
  'full',
  'tooManyHops',
  'filterErrors',
  'keyless',
  'tooLarge',
] as const;

const STATES = ['lost', 'replayed', 'restored', 'redefined'] as const;

/** Metrics of streams, in a registry that is there; labels come from the config only. */
export function streamMetrics(registry: Registry, streams: readonly string[], gauges: StreamGauges): Report {
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name: `postern_stream_${name}_total`, help, labelNames: ['stream'] as const, registers });
  const counters = {
    events: counter('events', 'Events that windows were asked to count.'),
    emitted: counter('emitted', 'Windows told of.'),
    late: counter('late', 'Events that came after all their windows had ended.'),
    future: counter('future', 'Events of a time to come, which are not counted in windows.'),
    full: counter('full', 'Events for which no window was opened, as maxOpenWindows were open.'),
    tooManyHops: counter(
      'too_many_hops',
      'Events in a loop of streams and replies, which are not counted in windows.',
    ),
    filterErrors: counter('filter_errors', 'Events for which the filter failed, which are left out.'),
    keyless: counter('keyless', 'Events without a key, which are left out.'),
    tooLarge: counter(
      'too_large',
      'Records that the log does not take: events not counted, or windows not told of.',
    ),
  };
  const states = new Counter({
    name: 'postern_stream_state_total',
    help: 'State of partitions that the store had forgotten (lost, replayed, restored), or that is of another definition.',
    labelNames: ['stream', 'state'] as const,
    registers,
  });
  // From the start, so that the first of each is seen.
  for (const stream of streams) {
    for (const name of COUNTS) counters[name].inc({ stream }, 0);
    for (const state of STATES) states.inc({ stream, state }, 0);
  }
  gauge('open_windows', 'Windows of keys that are open; of sliding ones, panes.', gauges.open);
  gauge(
    'watermark_seconds',
    'How far the watermark of the slowest partition is behind the clock.',
    gauges.watermark,
  );
  new Gauge({
    name: 'postern_stream_lag_events',
    help: 'Events of a partition that the stream has not read yet.',
    labelNames: ['stream', 'topic', 'partition'] as const,
    registers,
    collect() {
      this.reset();
      for (const { value, ...labels } of gauges.lag()) this.set(labels, value);
    },
  });
  return {
    group() {},
    request() {},
    delivery() {},
    stream({ stream, state, ...counts }: StreamFacts) {
      for (const name of COUNTS) if (counts[name]) counters[name].inc({ stream }, counts[name]);
      if (state !== undefined) states.inc({ stream, state });
    },
  };

  function gauge(name: string, help: string, values: () => StreamGauge[]): void {
    new Gauge({
      name: `postern_stream_${name}`,
      help,
      labelNames: ['stream'] as const,
      registers,
      collect() {
        this.reset();
        for (const { stream, value } of values()) this.set({ stream }, value);
      },
    });
  }
}
