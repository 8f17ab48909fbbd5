import { AT, lines, quantiles, rate } from './queries.ts';

const LEFT_OUT = ['late', 'future', 'full', 'too_many_hops', 'keyless', 'too_large', 'filter_errors'];

export const STREAM_PANELS = [
  lines(
    'Events of streams',
    'eps',
    [
      [`sum by (stream) (${rate('postern_stream_events_total', AT)})`, '{{stream}}: counted'],
      [`sum by (stream) (${rate('postern_stream_emitted_total', AT)})`, '{{stream}}: windows told of'],
    ],
    'Events that windows were asked to count, and events made of windows.',
  ),
  lines(
    'Watermark of streams',
    's',
    [[`max by (stream) (postern_stream_watermark_seconds{${AT}})`, '{{stream}}']],
    'How far it is behind the clock. It stands still while nothing comes and no window is open.',
  ),
  lines(
    'Lag of streams',
    'short',
    [[`sum by (stream) (postern_stream_lag_events{${AT}})`, '{{stream}}']],
    'Events that the stream has not read yet.',
  ),
  lines(
    'Events in no window',
    'eps',
    LEFT_OUT.map((name) => [
      `sum by (stream) (${rate(`postern_stream_${name}_total`, AT)})`,
      `{{stream}}: ${name.replaceAll('_', ' ')}`,
    ]),
    'The first four are in the late topic, with the reason. filter errors: of the filter nothing can be said.',
  ),
  lines(
    'Open windows',
    'short',
    [[`sum by (stream) (postern_stream_open_windows{${AT}})`, '{{stream}}']],
    'Of all keys and partitions; of sliding windows, panes. maxOpenWindows is for each partition.',
  ),
  lines(
    'State of streams',
    'short',
    [[`sum by (stream, state) (postern_stream_state_total{${AT}})`, '{{stream}}: {{state}}']],
    'Since the processes started. lost: windows that were open are incomplete.',
  ),
];

export const WORKFLOW_PANELS = [
  lines(
    'Instances of workflows',
    'short',
    [[`sum by (workflow, status) (postern_workflow_instances{${AT}})`, '{{workflow}}: {{status}}']],
    'That are not over. failed: an undo did not succeed, and somebody must see to it.',
  ),
  lines(
    'Oldest instance',
    's',
    [[`max by (workflow) (postern_workflow_oldest_seconds{${AT}})`, '{{workflow}}']],
    'That is not over; nothing while there is none.',
  ),
  lines(
    'Lag of workflows',
    'short',
    [[`sum by (workflow) (postern_workflow_lag_events{${AT}})`, '{{workflow}}']],
    'Events that no instance was told of yet.',
  ),
  lines(
    'Ends of instances',
    'eps',
    [
      [
        `sum by (workflow, outcome) (${rate('postern_workflow_outcomes_total', AT)})`,
        '{{workflow}}: {{outcome}}',
      ],
    ],
    'And what else became of them.',
  ),
  lines(
    'Steps',
    'eps',
    [
      [
        `sum by (workflow, outcome) (${rate('postern_workflow_steps_total', AT)})`,
        '{{workflow}}: {{outcome}}',
      ],
    ],
    'undo_failed: the instance waits for somebody.',
  ),
  lines('Time of a step', 's', quantiles('workflow_step_seconds'), 'Over all attempts of its call.'),
];
