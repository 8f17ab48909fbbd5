import type { Static } from 'typebox';
import {
  choice,
  duration,
  folder,
  names,
  object,
  optional,
  secret,
  section,
  size,
} from '../values/fields.ts';
import { tls } from '../values/tls.ts';
import { Type } from '../values/typebox.ts';

const kafka = object({
  brokers: names('Brokers to connect to first, host:port.'),
  clientId: Type.String({ default: 'postern', minLength: 1 }),
  tls: optional(tls),
  sasl: optional(
    object({
      mechanism: Type.Enum(['plain', 'scram-sha-256', 'scram-sha-512'], { type: 'string' }),
      username: Type.String({ minLength: 1 }),
      password: secret('Password.'),
    }),
  ),
  compression: choice(['none', 'gzip'], 'none', 'Compression of appended records.'),
  client: choice(['kafkajs', 'platformatic'], 'kafkajs', 'Library that appends records.'),
  create: Type.Unsafe<boolean | { partitions: number; replication: number }>({
    type: ['boolean', 'object'],
    properties: {
      partitions: Type.Integer({ minimum: 0, maximum: 10_000, default: 0 }),
      replication: Type.Integer({ minimum: 0, maximum: 100, default: 0 }),
    },
    additionalProperties: false,
    default: {},
    description: "Create missing topics at start. 0 uses the broker's default. false: create none.",
  }),
});

export const log = object(
  {
    kafka: optional(kafka),
    embedded: optional(
      object({
        path: folder,
        retention: section(
          {
            age: duration('7d', 'Older events are deleted.'),
            size: size('1GiB', 'When the log is larger, its oldest events are deleted.'),
          },
          'How long events are kept.',
        ),
      }),
    ),
    spool: optional(
      object(
        {
          path: folder,
          max: size('1GiB', 'Largest size. When it is full, requests get 503.'),
          after: duration('2s', 'How long Kafka may take to store events before they go to the spool.'),
        },
        { description: 'Keeps events on disk while Kafka does not store them. {} uses the defaults.' },
      ),
    ),
    timeout: duration('10s', 'Time after which a request gets 503 if its events are not stored yet.'),
  },
  { description: 'Store of the events: kafka or embedded (SQLite).' },
);

export type LogDocument = Static<typeof log>;
