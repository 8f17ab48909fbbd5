import type { Static } from 'typebox';
import {
  choice,
  consumerGroup,
  count,
  duration,
  map,
  names,
  object,
  optional,
  pointer,
  text,
} from '../values/fields.ts';
import { Type } from '../values/typebox.ts';

export const stream = object({
  group: optional(consumerGroup('Consumer group. Default: postern.stream.{name}.')),
  topics: names('Topics to read.'),
  from: choice(['earliest', 'latest'], 'earliest', 'Where a group without a committed position begins.'),
  filter: optional(text('CEL that an event must match, such as event.type == "purchase".')),
  key: optional(pointer("Pointer into the data. Each value has its own windows. Default: the record's key.")),
  window: object(
    {
      tumbling: optional(duration(null, 'Length of windows that follow each other without overlap.')),
      sliding: optional(duration(null, 'Length of windows of which one begins each `every`.')),
      every: optional(duration(null, 'For sliding: time from the start of one window to the next.')),
      session: optional(duration(null, 'Time without events of the key after which a window ends.')),
      count: optional(count(null, 100_000, 'Events of the key in one window.')),
    },
    { description: 'Kind of window: one of tumbling, sliding with every, session and count.' },
  ),
  time: choice(
    ['event', 'arrival'],
    'event',
    'Time of an event. event: its attribute time. arrival: when the log stored it.',
  ),
  lateness: duration('30s', 'How much later than newer events an event may come.'),
  idle: duration('30s', 'Time without events after which windows close by the clock.'),
  maxOpenWindows: count(
    250_000,
    10_000_000,
    'Most open windows of a partition. Events that need more go to the late topic.',
  ),
  aggregate: map(
    Type.String({ minLength: 1 }),
    'Results by name: count(), sum(x), min(x), max(x), avg(x), distinct(x), first(x), last(x), collect(x), where x is CEL.',
  ),
  having: optional(text('CEL over the results. Windows that do not match it emit nothing.')),
  emit: object({
    on: choice(
      ['close', 'threshold'],
      'close',
      'close: when a window ends. threshold: once per window, when having first matches.',
    ),
    topic: Type.String({ description: 'Topic for the emitted events.' }),
    type: text('CloudEvents type of the emitted events.'),
  }),
});

export type StreamDocument = Static<typeof stream>;
