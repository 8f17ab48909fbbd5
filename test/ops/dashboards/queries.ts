import type { Panel } from './grafana.ts';

/** Narrows a query to the processes that were chosen. */
export const AT = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"';

/** Variables that choose processes. */
export const PROCESSES = {
  namespace: 'label_values(postern_build_info, namespace)',
  job: 'label_values(postern_build_info{namespace=~"$namespace"}, job)',
  instance: 'label_values(postern_build_info{namespace=~"$namespace",job=~"$job"}, instance)',
};

export const rate = (metric: string, labels: string) => `rate(${metric}{${labels}}[$__rate_interval])`;
export const quantile = (share: number, name: string) =>
  `histogram_quantile(${share}, sum by (le) (${rate(`postern_${name}_bucket`, AT)}))`;
export const quantiles = (name: string): Panel['queries'] => [
  [quantile(0.5, name), 'p50'],
  [quantile(0.9, name), 'p90'],
  [quantile(0.99, name), 'p99'],
];

export const stat = (
  title: string,
  unit: string,
  query: string,
  description: string,
  more: Partial<Panel> = {},
): Panel => ({ type: 'stat', title, unit, description, queries: [[query, '']], ...more });
export const lines = (
  title: string,
  unit: string,
  queries: Panel['queries'],
  description: string,
  more: Partial<Panel> = {},
): Panel => ({ type: 'timeseries', title, unit, description, queries, ...more });

/** The same on each dashboard. */
export const PROCESS_PANELS: Panel[] = [
  lines(
    'Memory',
    'bytes',
    [
      [`process_resident_memory_bytes{${AT}} and on (instance) postern_build_info`, '{{instance}}'],
      [`postern_memory_max_bytes{${AT}}`, 'limit of {{instance}}'],
    ],
    'Resident memory, and the limit of the container if it has one.',
  ),
  lines(
    'Event loop',
    's',
    [[`nodejs_eventloop_lag_p99_seconds{${AT}} and on (instance) postern_build_info`, '{{instance}}']],
    'How late timers are (p99). Above 0.1 s the process has too little CPU.',
  ),
  lines(
    'CPU',
    'percentunit',
    [[`${rate('process_cpu_seconds_total', AT)} and on (instance) postern_build_info`, '{{instance}}']],
    'Of one core. A gateway uses little more than one.',
  ),
];

export const NOT_READY = stat(
  'Not ready',
  'short',
  `count(postern_ready{${AT}}) - sum(postern_ready{${AT}})`,
  'Processes whose /readyz answers 503.',
  { limits: [1, 2] },
);
export const NOT_WELL = lines(
  'What is not well',
  'short',
  [[`1 - min by (part) (postern_part_ok{${AT}})`, '{{part}}']],
  '1 while /readyz of a process finds something wrong with the part.',
  { words: { 0: 'ok', 1: 'not ok' } },
);
