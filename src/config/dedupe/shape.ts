import type { Static } from 'typebox';
import { choice, duration, folder, names, object, optional, secret } from '../values/fields.ts';
import { tls } from '../values/tls.ts';
import { Type } from '../values/typebox.ts';

const login = {
  username: optional(Type.String({ minLength: 1 })),
  password: optional(secret('Password.')),
  tls: optional(tls),
};

const redis = object(
  {
    url: optional(secret('One server: redis:// or rediss://.')),
    cluster: optional(
      object({ nodes: names('Some of the nodes, host:port. They know the others.'), ...login }),
    ),
    sentinel: optional(
      object({
        nodes: names('Sentinels, host:port.'),
        name: Type.String({ description: 'Name of the primary, as the sentinels know it.' }),
        sentinelPassword: optional(secret('Password of the sentinels.')),
        ...login,
      }),
    ),
    prefix: Type.String({
      default: 'p:',
      description: 'Prefix of every key. More than two characters cost 16 bytes more for each id.',
    }),
    timeout: duration('500ms', 'Longest time of one round trip.'),
  },
  { description: 'Redis servers: one of url, cluster and sentinel.' },
);

export const dedupe = object(
  {
    redis: optional(redis),
    embedded: optional(object({ path: folder })),
    window: duration('24h', 'How long a stored id is remembered.'),
    lease: duration('30s', 'How long a claim lives after its process died.'),
    outage: choice(
      ['accept', 'refuse'],
      'accept',
      'While the store is down. accept: events are stored without a check for duplicates. refuse: requests get 503.',
    ),
  },
  { description: 'Store of the ids: redis or embedded (SQLite).' },
);

export type DedupeDocument = Static<typeof dedupe>;
