import { choice, count, duration, map, names, object, optional, pointer } from '../fields.ts';
import { Type } from '../typebox.ts';

/** The part of the config's shape that says which windows of events become one event. */

export const stream = object({
  group: optional(
    Type.String({ minLength: 1, maxLength: 249, description: 'Consumer group; postern.stream.{name}.' }),
  ),
  topics: names('Topics to read.'),
  from: choice(['earliest', 'latest'], 'earliest', 'Where a group begins that has no position yet.'),
  filter: optional(Type.String({ minLength: 1, description: 'CEL, such as event.type == "purchase".' })),
  key: optional(pointer("Of the data, whose values have windows of their own; the record's key.")),
  window: object(
    {
      tumbling: optional(duration(null, 'Windows of this length, one after the other.')),
      sliding: optional(duration(null, 'Windows of this length, one begun each `every`.')),
      every: optional(duration(null, 'For sliding.')),
      session: optional(duration(null, 'Ends when no event of the key has come for so long.')),
      count: optional(count(null, 100_000, 'Events of the key.')),
    },
    { description: 'One of tumbling, sliding with every, session and count.' },
  ),
  time: choice(['event', 'arrival'], 'event', 'event: the attribute time; arrival: when the log took it.'),
  lateness: duration('30s', 'That an event may come after later ones.'),
  idle: duration('30s', 'Without events, after which windows close by the clock.'),
  maxOpenWindows: count(
    250_000,
    10_000_000,
    'Open at once for a partition; events that want more go to the late topic.',
  ),
  aggregate: map(
    Type.String({ minLength: 1 }),
    'Results by name: count(), sum(x), min(x), max(x), avg(x), distinct(x), first(x), last(x), collect(x); x is CEL.',
  ),
  having: optional(Type.String({ minLength: 1, description: 'CEL over the results by name.' })),
  emit: object({
    on: choice(['close', 'threshold'], 'close', 'threshold: once per window, when having first holds.'),
    topic: Type.String(),
    type: Type.String({ minLength: 1, description: 'CloudEvents type of the event.' }),
  }),
});
