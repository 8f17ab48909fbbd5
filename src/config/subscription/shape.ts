import type { Static } from 'typebox';
import { functionShape } from '../function/shape.ts';
import {
  choice,
  consumerGroup,
  count,
  duration,
  names,
  object,
  optional,
  section,
  size,
  text,
} from '../values/fields.ts';
import { Type } from '../values/typebox.ts';
import type { AttributeFilter } from './types.ts';

// Without defaults: they would add dialects that the text does not have.
const attributes = {
  type: 'object',
  additionalProperties: { type: 'string' },
  description: 'Attributes and the values that they must have.',
};
const inner = { $ref: '#/$defs/attributeFilter' };
/** Plain JSON Schema, because typebox has no type for a shape that contains itself. */
export const attributeFilter = {
  type: 'object',
  properties: {
    exact: attributes,
    prefix: attributes,
    suffix: attributes,
    all: { type: 'array', items: inner },
    any: { type: 'array', items: inner },
    not: inner,
  },
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
};

export const subscription = object({
  group: optional(consumerGroup('Consumer group. Default: postern.{name}.')),
  topics: names('Topics to read.'),
  from: choice(['earliest', 'latest'], 'earliest', 'Where a group without a committed position begins.'),
  filter: optional(text('CEL that an event must match, such as event.type == "track".')),
  filters: Type.Unsafe<AttributeFilter[]>({
    type: 'array',
    items: inner,
    default: [],
    description:
      'CloudEvents Subscriptions filters that must all match: exact, prefix, suffix, all, any, not.',
  }),
  function: functionShape,
  timeout: duration('30s', 'Longest time of one call.'),
  concurrency: count(16, 10_000, 'Most calls at the same time.'),
  rate: optional(count(null, 1_000_000, 'Most calls a second. Default: no limit.')),
  order: choice(['none', 'key'], 'none', 'key: events with the same key are delivered one after the other.'),
  batch: section(
    {
      events: count(100, 10_000, 'Most events in one call.'),
      wait: duration('200ms', 'How long a call waits for more events.'),
      size: size('1MiB', 'Largest call.'),
    },
    'For mode batch and for lambda. A call is made when one of the limits is reached.',
  ),
  retry: section(
    {
      attempts: count(8, 1000, 'Attempts in all. 1: no retry.'),
      min: duration('500ms', 'First wait. Each next one is twice as long, with jitter.'),
      max: duration('60s', 'Longest wait.'),
      age: optional(
        duration(null, 'Time after the first attempt after which no other begins. Default: no limit.'),
      ),
    },
    'Retries of failed calls.',
  ),
  dedupe: optional(
    duration(
      null,
      'How long delivered events are remembered, so that a crash does not repeat them. Default: they are not.',
    ),
  ),
  deadLetter: optional(
    Type.String({ description: 'Topic for events that cannot be delivered. Default: {name}.dead.' }),
  ),
  redrive: optional(
    Type.String({
      description: 'Topic to redrive. Default: {name}.redrive; none if log.kafka.create is false.',
    }),
  ),
  reply: optional(
    Type.String({ description: "Topic for the events in the function's replies. Default: none." }),
  ),
  warm: optional(
    duration(
      null,
      'Time without a call after which the function is called to keep an instance warm. Default: never.',
    ),
  ),
});

export type SubscriptionDocument = Static<typeof subscription>;
