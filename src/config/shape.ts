import type { Static } from 'typebox';
import {
  choice,
  count,
  duration,
  listen,
  map,
  names,
  object,
  optional,
  optionalSize,
  secret,
  section,
  size,
} from './fields.ts';
import { redis, tls } from './redis/shape.ts';
import { source } from './source/shape.ts';
import { stream } from './stream/shape.ts';
import { attributeFilter, subscription } from './subscription/shape.ts';
import { Type } from './typebox.ts';
import { workflow } from './workflow/shape.ts';

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
    id: count(256, 4096, 'Characters of an id, or of a type or subject taken from a payload.'),
    key: size('1KiB', 'Of a partition key.'),
    bodyTime: duration('15s', 'In which a body must have come.'),
    bodyRate: size('512B', 'A second, that a body must come with on average after its first 5 s.'),
    values: count(
      50_000,
      1_000_000,
      'Values in one event: members of objects and items of lists, at all levels.',
    ),
    unauthenticated: optionalSize('Of bodies whose sender is not let in yet; an eighth of buffered.'),
    perSource: optionalSize(
      'Of bodies of one source; three quarters of buffered, or what the largest request takes.',
    ),
    perAddress: optionalSize(
      'Of bodies of one client address; half of buffered, or what the largest request takes.',
    ),
    headTime: duration(
      '10s',
      'In which the head of a request must have come; on a new connection from the connect on.',
    ),
    connections: count(
      10_000,
      1_000_000,
      'At once; fewer where the process may not open as many files. New ones take the place of silent and idle ones.',
    ),
    connectionsPerAddress: count(
      1024,
      1_000_000,
      'Of one address at once, or of a /64 in IPv6; those of gateway.proxies are not counted so.',
    ),
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
    proxies: names('Balancers in front whose X-Forwarded-For is believed: addresses or CIDR ranges.', []),
    clientAddress: choice(
      ['none', 'truncated', 'full'],
      'none',
      'What is kept of a client address, as the attribute clientip; truncated: without its last 8 (IPv4) or 80 bits.',
    ),
    openapi: Type.Boolean({
      default: true,
      description: 'Describe the sources to anybody at /openapi.json.',
    }),
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
  tls: optional(tls),
  sasl: optional(
    object({
      mechanism: Type.Enum(['plain', 'scram-sha-256', 'scram-sha-512'], { type: 'string' }),
      username: Type.String({ minLength: 1 }),
      password: secret('Text, a variable, or file:/path.'),
    }),
  ),
  compression: choice(['none', 'gzip'], 'none', 'Of what is appended.'),
  client: choice(['kafkajs', 'platformatic'], 'kafkajs', 'The library that appends.'),
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
    spool: optional(
      object(
        {
          path: Type.String({ default: '.postern', minLength: 1, description: 'Folder.' }),
          max: size('1GiB', 'That it may hold; beyond it 503.'),
          after: duration('2s', 'That Kafka has to take events before they go to the spool.'),
        },
        { description: 'Keeps events on disk while Kafka does not take them; {} is enough.' },
      ),
    ),
    timeout: duration('10s', 'After which a request whose events are not stored yet is answered 503.'),
  },
  { description: 'Where events are stored: kafka or embedded (SQLite).' },
);

const dedupe = object(
  {
    redis: optional(redis),
    embedded: optional(
      object({ path: Type.String({ default: '.postern', minLength: 1, description: 'Folder.' }) }),
    ),
    window: duration('24h', 'For which a stored id is remembered.'),
    lease: duration('30s', 'That a claim lives when its process dies.'),
    outage: choice(['accept', 'refuse'], 'accept', 'When the store is down: store unchecked, or answer 503.'),
  },
  { description: 'Where ids are remembered: redis or embedded (SQLite).' },
);

const token = secret('Text, a variable, or file:/path.');
const tokens = (description: string) =>
  Type.Array(token, { default: [], maxItems: 64, writeOnly: true, description });

const admin = section(
  {
    listen: listen('127.0.0.1:8081', 'Never public.'),
    hosts: names('Names that requests may have as Host; localhost and IP addresses always may.', []),
    tokens: object(
      { read: tokens('May look.'), operate: tokens('May also change: retry, cancel.') },
      {
        default: {},
        writeOnly: true,
        description:
          'Sent as Bearer; needed for all but /livez, /readyz and /metrics, unless there are none and listen is a loopback address.',
      },
    ),
  },
  'Health, metrics, workflows.',
);

/** Before defaults are filled in, everything with a default may be absent. */
export const configShape = object(
  {
    gateway,
    admin,
    log,
    dedupe,
    schemas: Type.String({ default: './schemas', minLength: 1, description: 'Folder, from this file.' }),
    sources: map(source, 'Who may send what, by name.'),
    subscriptions: map(subscription, 'Functions, by name.'),
    streams: map(stream, 'Windows of events that become events, by name.'),
    workflows: map(workflow, 'Functions that run as one process, by name.'),
    grace: duration('30s', 'Between the signal to stop and giving up.'),
    logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info', ''),
  },
  { $defs: { attributeFilter } },
);

/** The document with its defaults. */
export type ConfigDocument = Static<typeof configShape>;
