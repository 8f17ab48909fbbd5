import { choice, count, duration, map, names, object, optional, secret, section, size } from '../fields.ts';
import { tls } from '../redis/shape.ts';
import { Type } from '../typebox.ts';
import type { AttributeFilter } from './types.ts';

/** The part of the config's shape that says which function gets which events. */

const http = object({
  url: Type.String({ description: 'http or https.' }),
  mode: choice(
    ['binary', 'structured', 'batch'],
    'binary',
    'CloudEvents mode; batch: many events in one call.',
  ),
  headers: map(secret('Text, a variable, or file:/path.'), 'Further request headers.'),
  auth: optional(
    object(
      {
        bearer: optional(secret('Token; text, a variable, or file:/path.')),
        basic: optional(
          object({
            user: Type.String({ minLength: 1 }),
            password: secret('Text, a variable, or file:/path.'),
          }),
        ),
        google: optional(
          object({ audience: optional(Type.String({ minLength: 1, description: "The function's URL." })) }),
        ),
        azureKey: optional(secret('Key of an Azure function; text, a variable, or file:/path.')),
      },
      { description: 'One of bearer, basic, google (an ID token) and azureKey.' },
    ),
  ),
  sign: Type.Array(secret('Standard Webhooks secret, whsec_ and base64.'), {
    default: [],
    description: 'Secrets that calls are signed with (Standard Webhooks); several while they are exchanged.',
  }),
  tls: optional(tls),
});

const lambda = object({
  name: Type.String({
    minLength: 1,
    description: 'Name or ARN of the function, with a version or alias if any.',
  }),
  region: optional(Type.String({ minLength: 1, description: "AWS region; the environment's." })),
  endpoint: optional(Type.String({ minLength: 1, description: 'URL of another Lambda API.' })),
  invoke: choice(['sync', 'async'], 'sync', 'async: AWS queues the call and its outcome stays unknown.'),
});

export const functionShape = object(
  { http: optional(http), lambda: optional(lambda) },
  { description: 'One of http and lambda.' },
);

// Without a default, which would add the dialects that are not written.
const attributes = {
  type: 'object',
  additionalProperties: { type: 'string' },
  description: 'Attributes and their values.',
};
const inner = { $ref: '#/$defs/attributeFilter' };
/** Of itself, so typebox cannot say it. */
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
  group: optional(
    Type.String({ minLength: 1, maxLength: 249, description: 'Consumer group; postern.{name}.' }),
  ),
  topics: names('Topics to read.'),
  from: choice(['earliest', 'latest'], 'earliest', 'Where a group begins that has no position yet.'),
  filter: optional(Type.String({ minLength: 1, description: 'CEL, such as event.type == "track".' })),
  filters: Type.Unsafe<AttributeFilter[]>({
    type: 'array',
    items: inner,
    default: [],
    description: 'Filters of the CloudEvents Subscriptions API: exact, prefix, suffix, all, any, not.',
  }),
  function: functionShape,
  timeout: duration('30s', 'Of one call.'),
  concurrency: count(16, 10_000, 'Calls at once.'),
  rate: optional(count(null, 1_000_000, 'Calls a second; no limit.')),
  order: choice(['none', 'key'], 'none', 'key: events of one key one after the other.'),
  batch: section(
    {
      events: count(100, 10_000, 'In one call.'),
      wait: duration('200ms', 'For more events to come.'),
      size: size('1MiB', 'Of one call.'),
    },
    'For mode batch and for lambda: whichever is reached first.',
  ),
  retry: section(
    {
      attempts: count(8, 1000, 'In all; 1: no retry.'),
      min: duration('500ms', 'First wait; doubles each time, with jitter.'),
      max: duration('60s', 'Longest wait.'),
      age: optional(duration(null, 'After the first attempt no other is begun; no limit.')),
    },
    'When a call fails.',
  ),
  dedupe: optional(
    duration(
      null,
      'For which a delivered event is remembered, to be delivered once in spite of a crash; not at all.',
    ),
  ),
  deadLetter: optional(Type.String({ description: 'Topic for what cannot be delivered; {name}.dead.' })),
  redrive: optional(
    Type.String({
      description:
        'Topic of dead letters that are delivered again; {name}.redrive, or none with log.kafka.create false.',
    }),
  ),
  reply: optional(Type.String({ description: 'Topic for the events that the function answers with; none.' })),
  warm: optional(
    duration(null, 'Without events, after which the function is called to keep it warm; never.'),
  ),
});
