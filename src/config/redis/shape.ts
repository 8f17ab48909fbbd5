import { duration, names, object, optional, secret } from '../fields.ts';
import { Type } from '../typebox.ts';

/** The parts of the config's shape that say how Redis is reached; and TLS, as for Kafka. */

export const tls = object(
  {
    ca: optional(secret('PEM of the authority; the system decides when absent.')),
    cert: optional(secret('PEM of the client certificate.')),
    key: optional(secret('PEM of its key.')),
    verify: Type.Boolean({ default: true }),
  },
  { description: 'Encrypts the connection; {} is enough.' },
);

const login = {
  username: optional(Type.String({ minLength: 1 })),
  password: optional(secret('Text, a variable, or file:/path.')),
  tls: optional(tls),
};

export const redis = object(
  {
    url: optional(secret('One server: redis:// or rediss://; may be file:/path.')),
    cluster: optional(
      object({ nodes: names('Some of the nodes, host:port; they know the others.'), ...login }),
    ),
    sentinel: optional(
      object({
        nodes: names('Sentinels, host:port.'),
        name: Type.String({ description: 'Of the primary, as the sentinels know it.' }),
        sentinelPassword: optional(secret('Of the sentinels; text, a variable, or file:/path.')),
        ...login,
      }),
    ),
    prefix: Type.String({
      default: 'p:',
      description: 'Of every key; one of more than two characters costs 16 bytes more for each id.',
    }),
    timeout: duration('500ms', 'Of one round trip.'),
  },
  { description: 'One of url, cluster and sentinel.' },
);
