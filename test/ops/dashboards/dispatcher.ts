import { dashboard } from './grafana.ts';
import {
  AT,
  lines,
  NOT_READY,
  NOT_WELL,
  PROCESS_PANELS,
  PROCESSES,
  quantiles,
  rate,
  stat,
} from './queries.ts';
import { STREAM_PANELS, WORKFLOW_PANELS } from './streams.ts';

const SUBSCRIPTION = `${AT},subscription=~"$subscription"`;
const OUTCOME_COLORS = { delivered: 'green', filtered: 'blue', retry: 'orange', dead_letter: 'red' };

export function dispatcherDashboard(): object {
  return dashboard({
    uid: 'postern-dispatcher',
    title: 'Postern dispatcher',
    description: 'Events out: deliveries, lag, dead letters; streams and workflows.',
    variables: {
      ...PROCESSES,
      subscription:
        'label_values(postern_deliveries_total{namespace=~"$namespace",job=~"$job"}, subscription)',
    },
    rows: {
      Now: [
        stat(
          'Delivered',
          'eps',
          `sum(${rate('postern_deliveries_total', `${SUBSCRIPTION},outcome="delivered"`)})`,
          'Events that functions took, a second.',
        ),
        stat('Lag', 'short', `sum(postern_lag_events{${SUBSCRIPTION}})`, 'Events that wait in the log.', {
          limits: [1_000, 100_000],
        }),
        stat(
          'Oldest',
          's',
          `max(postern_oldest_seconds{${SUBSCRIPTION}})`,
          'Age of the oldest event in work; nothing while there is none.',
          { limits: [60, 600] },
        ),
        stat(
          'Functions down',
          'short',
          `sum(max by (job, subscription) (postern_breaker_open{${SUBSCRIPTION}}))`,
          'Subscriptions whose calls are stopped until the function answers again.',
          { limits: [1, 2] },
        ),
        stat(
          'Dead letters',
          'short',
          `sum(increase(postern_deliveries_total{${SUBSCRIPTION},outcome="dead_letter"}[$__range]))`,
          'Events given up in the time that is shown.',
          { limits: [1, 100] },
        ),
        NOT_READY,
      ],
      Deliveries: [
        lines(
          'Events by outcome',
          'eps',
          [[`sum by (outcome) (${rate('postern_deliveries_total', SUBSCRIPTION)})`, '{{outcome}}']],
          'retry: a call failed and is made again.',
          { colors: OUTCOME_COLORS },
        ),
        lines(
          'Delivered by subscription',
          'eps',
          [
            [
              `sum by (subscription) (${rate('postern_deliveries_total', `${SUBSCRIPTION},outcome="delivered"`)})`,
              '{{subscription}}',
            ],
          ],
          'Events that the function took.',
        ),
        lines(
          'Retries by subscription',
          'eps',
          [
            [
              `sum by (subscription) (${rate('postern_deliveries_total', `${SUBSCRIPTION},outcome="retry"`)})`,
              '{{subscription}}',
            ],
          ],
          'Events whose call failed and that are tried again.',
        ),
        lines(
          'Time of a call',
          's',
          quantiles('delivery_seconds'),
          'From the call to the answer, of all functions.',
        ),
        lines(
          'Calls in flight',
          'short',
          [[`sum by (subscription) (postern_inflight{${SUBSCRIPTION}})`, '{{subscription}}']],
          'At most concurrency times the dispatchers. Always at the most: the function is the bottleneck.',
        ),
        lines(
          'Functions that are down',
          'short',
          [[`max by (subscription) (postern_breaker_open{${SUBSCRIPTION}})`, '{{subscription}}']],
          '1 while calls are stopped, but for probes.',
          { words: { 0: 'up', 1: 'down' } },
        ),
        lines(
          'Events that functions answered with',
          'eps',
          [
            [
              `sum by (subscription, outcome) (${rate('postern_replies_total', SUBSCRIPTION)})`,
              '{{subscription}}: {{outcome}}',
            ],
          ],
          'Subscriptions with a reply topic: what became of their events.',
        ),
        lines(
          'Remembered deliveries',
          'eps',
          [
            [
              `sum by (subscription, result) (${rate('postern_remembered_total', SUBSCRIPTION)})`,
              '{{subscription}}: {{result}}',
            ],
          ],
          'Subscriptions that remember: calls saved, and events of which nothing could be known.',
        ),
      ],
      Backlog: [
        lines(
          'Lag by subscription',
          'short',
          [[`sum by (subscription) (postern_lag_events{${SUBSCRIPTION}})`, '{{subscription}}']],
          'Events that wait in the log.',
        ),
        lines(
          'Largest lags of partitions',
          'short',
          [
            [
              `topk(10, max by (subscription, topic, partition) (postern_lag_events{${SUBSCRIPTION}}))`,
              '{{subscription}}: {{topic}} {{partition}}',
            ],
          ],
          'One that stands out: a key with many events, or an event that is tried again and again.',
        ),
        lines(
          'Oldest event in work',
          's',
          [[`max by (subscription) (postern_oldest_seconds{${SUBSCRIPTION}})`, '{{subscription}}']],
          'Since it was stored.',
        ),
        lines(
          'Dead letters by reason',
          'short',
          [
            [
              `sum by (subscription, reason) (postern_dead_letters_total{${SUBSCRIPTION}})`,
              '{{subscription}}: {{reason}}',
            ],
          ],
          'Since the processes started.',
        ),
        lines(
          'Dead letters by subscription',
          'eps',
          [
            [
              `sum by (subscription) (${rate('postern_deliveries_total', `${SUBSCRIPTION},outcome="dead_letter"`)})`,
              '{{subscription}}',
            ],
          ],
          'Events given up, a second.',
        ),
        NOT_WELL,
      ],
      Streams: STREAM_PANELS,
      Workflows: WORKFLOW_PANELS,
      Processes: PROCESS_PANELS,
    },
  });
}
