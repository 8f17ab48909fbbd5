import { type Static, Type } from 'typebox';
import {
  choice,
  count,
  duration,
  listen,
  map,
  names,
  object,
  optional,
  pointer,
  secret,
  section,
  size,
} from './config-fields.ts';

/**
 * The shape of the YAML config: one JSON Schema, from which come the TypeScript type, the checks, the
 * defaults and the completion in editors (`postern.schema.json`). What a schema cannot say is in
 * config-resolve.ts.
 */

const limits = section(
  {
    body: size('1MiB', 'Of a body as sent.'),
    decompressed: size('8MiB', 'Of a body after its content-encoding.'),
    event: size('256KiB', 'Of one event.'),
    batch: count(2500, 100_000, 'Events in one request.'),
    buffered: size('64MiB', 'Of all bodies held at once.'),
    requests: count(4096, 1_000_000, 'Requests in work at once.'),
    depth: count(64, 1000, 'Nesting of one event; {} is 1.'),
    headers: count(100, 2000, 'Header fields of one request.'),
    id: count(256, 4096, 'Characters of an id or another attribute.'),
    key: size('1KiB', 'Of a partition key.'),
    bodyTime: duration('15s', 'In which a body must have come.'),
  },
  'What is too much; each has its own status code.',
);

const gateway = section(
  {
    listen: listen('0.0.0.0:8080', 'Public address, host:port.'),
    limits,
    cors: section(
      {
        origins: Type.Array(Type.String(), {
          default: [],
          description: 'Such as https://shop.example, or *.',
        }),
        credentials: Type.Boolean({ default: false, description: 'Let browsers send cookies.' }),
      },
      'Which web pages may send events.',
    ),
    keepAlive: duration(
      '75s',
      'For which an idle connection is kept; longer than that of a load balancer in front.',
    ),
  },
  'Takes events over HTTP.',
);

const kafka = object({
  brokers: names('Bootstrap brokers, host:port.'),
  clientId: Type.String({ default: 'postern', minLength: 1 }),
  tls: optional(
    object(
      {
        ca: optional(secret('PEM of the authority; the system decides when absent.')),
        cert: optional(secret('PEM of the client certificate.')),
        key: optional(secret('PEM of its key.')),
        verify: Type.Boolean({ default: true }),
      },
      { description: 'Encrypts the connection; {} is enough.' },
    ),
  ),
  sasl: optional(
    object({
      mechanism: Type.Enum(['plain', 'scram-sha-256', 'scram-sha-512'], { type: 'string' }),
      username: Type.String({ minLength: 1 }),
      password: secret('Text, a variable, or file:/path.'),
    }),
  ),
  compression: choice(['none', 'gzip'], 'none', 'Of what is appended.'),
  create: Type.Unsafe<boolean | { partitions: number; replication: number }>({
    type: ['boolean', 'object'],
    properties: {
      partitions: Type.Integer({ minimum: 0, maximum: 10_000, default: 0 }),
      replication: Type.Integer({ minimum: 0, maximum: 100, default: 0 }),
    },
    additionalProperties: false,
    default: {},
    description: "Create missing topics at start, with the broker's defaults unless given; false: never.",
  }),
});

const log = object(
  {
    kafka: optional(kafka),
    embedded: optional(
      object({
        path: Type.String({ default: '.postern', minLength: 1, description: 'Folder.' }),
        retention: section(
          { age: duration('7d', 'Older events go.'), size: size('1GiB', 'The oldest go beyond.') },
          '',
        ),
      }),
    ),
    timeout: duration('10s', 'After which a request whose events are not stored yet is answered 503.'),
  },
  { description: 'Where events are stored: kafka or embedded (SQLite).' },
);

const dedupe = object(
  {
    redis: optional(
      object({
        url: secret('redis:// or rediss://; may be file:/path.'),
        prefix: Type.String({ default: 'postern:', description: 'Of every key.' }),
        timeout: duration('500ms', 'Of one round trip.'),
      }),
    ),
    embedded: optional(
      object({ path: Type.String({ default: '.postern', minLength: 1, description: 'Folder.' }) }),
    ),
    window: duration('24h', 'For which a stored id is remembered.'),
    lease: duration('30s', 'That a claim lives when its process dies.'),
    outage: choice(['accept', 'refuse'], 'accept', 'When the store is down: store unchecked, or answer 503.'),
  },
  { description: 'Where ids are remembered: redis or embedded (SQLite).' },
);

const source = object({
  protocol: choice(['events'], 'events', 'How requests are read.'),
  keys: Type.Array(secret('Text, a variable, or file:/path.'), {
    default: [],
    description: 'Any of them lets a client in; none: anybody may send.',
  }),
  topic: Type.String({ description: 'Kafka topic; refused events go to {topic}.rejected.' }),
  id: optional(
    Type.Unsafe<'content' | string[]>({
      type: ['string', 'array'],
      title: '"content" or a list of JSON Pointers, such as [/deviceId, /seq]',
      pattern: '^content$',
      items: pointer('Where a part of the id is.'),
      minItems: 1,
      maxItems: 8,
      description: "Pointers, joined; or content: the payload's digest. Absent: from the client's headers.",
    }),
  ),
  type: optional(Type.String({ minLength: 1, description: 'A constant, or a JSON Pointer.' })),
  time: optional(pointer('Where the time is.')),
  subject: optional(pointer('Where the subject is.')),
  key: optional(pointer('Where the Kafka key is: events of one key keep their order.')),
  schema: optional(
    Type.Unsafe<string | Record<string, string>>({
      type: ['string', 'object'],
      title: "a schema's name, a JSON Pointer to it, or a map from event type to name",
      minLength: 1,
      additionalProperties: Type.String({ minLength: 1 }),
      description: "A schema's name, a JSON Pointer to it, or a map from event type to name.",
    }),
  ),
  batch: choice(['each', 'all-or-nothing'], 'each', 'What one bad event does to the others of its request.'),
});

const subscription = object({
  group: optional(
    Type.String({ minLength: 1, maxLength: 249, description: 'Consumer group; postern.{name}.' }),
  ),
  topics: names('Topics to read.'),
  from: choice(['earliest', 'latest'], 'earliest', 'Where a group begins that has no position yet.'),
  filter: optional(Type.String({ minLength: 1, description: 'CEL, such as event.type == "track".' })),
  function: object({
    http: object({
      url: Type.String({ description: 'http or https.' }),
      mode: choice(
        ['binary', 'structured', 'batch'],
        'binary',
        'CloudEvents mode; batch: many events in one call.',
      ),
      headers: map(secret('Text, a variable, or file:/path.'), 'Further request headers.'),
    }),
  }),
  timeout: duration('30s', 'Of one call.'),
  concurrency: count(16, 10_000, 'Calls at once.'),
  batch: section(
    {
      events: count(100, 10_000, 'In one call.'),
      wait: duration('200ms', 'For more events to come.'),
      size: size('1MiB', 'Of one call.'),
    },
    'For mode batch: whichever is reached first.',
  ),
  retry: section(
    {
      attempts: count(8, 1000, 'In all; 1: no retry.'),
      min: duration('500ms', 'First wait; doubles each time, with jitter.'),
      max: duration('60s', 'Longest wait.'),
    },
    'When a call fails.',
  ),
  deadLetter: optional(Type.String({ description: 'Topic for what cannot be delivered; {name}.dead.' })),
});

/** Before defaults are filled in, everything with a default may be absent. */
export const configShape = object({
  gateway,
  admin: section({ listen: listen('127.0.0.1:8081', 'Never public.') }, 'Health and metrics.'),
  log,
  dedupe,
  schemas: Type.String({ default: './schemas', minLength: 1, description: 'Folder, from this file.' }),
  sources: map(source, 'Who may send what, by name.'),
  subscriptions: map(subscription, 'Functions, by name.'),
  grace: duration('30s', 'Between the signal to stop and giving up.'),
  logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info', ''),
});

/** The document with its defaults. */
export type ConfigDocument = Static<typeof configShape>;
