import { dashboard } from './grafana.ts';
import {
  AT,
  lines,
  NOT_READY,
  NOT_WELL,
  PROCESS_PANELS,
  PROCESSES,
  quantile,
  quantiles,
  rate,
  stat,
} from './queries.ts';

const SOURCE = `${AT},source=~"$source"`;
const VERDICT_COLORS = { accepted: 'green', duplicate: 'blue', rejected: 'orange', retry: 'red' };

const events = (labels: string) => `sum(${rate('postern_events_total', `${SOURCE}${labels}`)})`;

export function gatewayDashboard(): object {
  return dashboard({
    uid: 'postern-gateway',
    title: 'Postern gateway',
    description: 'Events in: verdicts, times, stores.',
    variables: {
      ...PROCESSES,
      source: 'label_values(postern_events_total{namespace=~"$namespace",job=~"$job"}, source)',
    },
    rows: {
      Now: [
        stat('Events in', 'eps', events(''), 'Events that came in, a second.'),
        stat(
          'To be sent again',
          'percentunit',
          `${events(',verdict="retry"')} / (${events('')} > 0)`,
          'Share of events that no store took; clients send them again.',
          { limits: [0.001, 0.01] },
        ),
        stat(
          'Rejected',
          'percentunit',
          `${events(',verdict="rejected"')} / (${events('')} > 0)`,
          'Share of events that were refused; they are kept in the .rejected topic.',
          { limits: [0.05, 0.2] },
        ),
        stat('Reply p99', 's', quantile(0.99, 'ingest_seconds'), '99 of 100 replies are faster.', {
          limits: [0.25, 1],
        }),
        stat(
          'In the spool',
          'short',
          `sum(postern_spool_events{${AT}})`,
          'Events on disk that wait for Kafka.',
          {
            limits: [1, 10_000],
          },
        ),
        NOT_READY,
      ],
      Events: [
        lines(
          'Events by verdict',
          'eps',
          [[`sum by (verdict) (${rate('postern_events_total', SOURCE)})`, '{{verdict}}']],
          'Each event gets one verdict.',
          { colors: VERDICT_COLORS },
        ),
        lines(
          'Events by source',
          'eps',
          [[`sum by (source) (${rate('postern_events_total', SOURCE)})`, '{{source}}']],
          'All verdicts.',
        ),
        lines(
          'Rejected by source',
          'percentunit',
          [
            [
              `sum by (source) (${rate('postern_events_total', `${SOURCE},verdict="rejected"`)}) / (sum by (source) (${rate('postern_events_total', SOURCE)}) > 0)`,
              '{{source}}',
            ],
          ],
          'Share of the events of a source.',
        ),
        lines(
          'Requests by status',
          'reqps',
          [[`sum by (code) (${rate('postern_requests_total', SOURCE)})`, '{{code}}']],
          '503: no store or no room. 422: all events rejected.',
        ),
        lines('Reply time', 's', quantiles('ingest_seconds'), 'From the head of a request to the reply.'),
        lines(
          'Signatures',
          'reqps',
          [
            [
              `sum by (source, result) (${rate('postern_signatures_total', SOURCE)})`,
              '{{source}}: {{result}}',
            ],
          ],
          'The secret that matched, or why none did. An old secret that no sender uses any more can go.',
        ),
      ],
      Stores: [
        lines(
          'Events in a commit',
          'short',
          [
            [
              `sum(${rate('postern_group_events_sum', AT)}) / (sum(${rate('postern_group_events_count', AT)}) > 0)`,
              'mean',
            ],
            [quantile(0.99, 'group_events'), 'p99'],
          ],
          'Events that share one append to Kafka. It grows with the load.',
        ),
        lines('Append time', 's', quantiles('append_seconds'), 'One append to Kafka.'),
        lines('Claim time', 's', quantiles('claim_seconds'), 'One claim of ids in Redis.'),
        lines(
          'Events not checked for duplicates',
          'eps',
          [[`sum by (instance) (${rate('postern_dedupe_unchecked_total', AT)})`, '{{instance}}']],
          'Redis is away, or the spool sent events again.',
          { limits: [0.001, 1] },
        ),
        lines(
          'Spool',
          'bytes',
          [
            [`postern_spool_bytes{${AT}}`, '{{instance}}'],
            [`postern_spool_max_bytes{${AT}}`, 'limit of {{instance}}'],
          ],
          'What waits on disk for Kafka. When it is full events are refused.',
        ),
        lines(
          'Events in the spool',
          'short',
          [[`postern_spool_events{${AT}}`, '{{instance}}']],
          'It must come down to 0 when Kafka is back.',
        ),
        lines(
          'Buffered',
          'bytes',
          [
            [`postern_buffered_bytes{${AT}}`, '{{instance}}'],
            [`postern_buffered_max_bytes{${AT}}`, 'limit of {{instance}}'],
          ],
          'Bodies of requests in work. At the limit requests are answered 503.',
        ),
        NOT_WELL,
        lines(
          'Schemas',
          'short',
          [
            [`max(postern_schemas{${AT}})`, 'in use'],
            [`max(postern_schema_problems{${AT}})`, 'problems'],
          ],
          'As last read. The log names file and line of a problem.',
        ),
      ],
      Processes: PROCESS_PANELS,
    },
  });
}
