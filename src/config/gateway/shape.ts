import type { Static } from 'typebox';
import { choice, count, duration, listen, names, optionalSize, section, size } from '../values/fields.ts';
import { Type } from '../values/typebox.ts';

const limits = section(
  {
    body: size('1MiB', 'Largest body as sent.'),
    decompressed: size('8MiB', 'Largest body after content-decoding.'),
    event: size('256KiB', 'Largest event.'),
    batch: count(2500, 100_000, 'Most events in one request.'),
    buffered: size('64MiB', 'Memory for all bodies together.'),
    requests: count(4096, 1_000_000, 'Most requests at the same time.'),
    depth: count(64, 1000, 'Deepest nesting of one event; {} is 1.'),
    headers: count(100, 2000, 'Most header fields of one request.'),
    id: count(256, 4096, 'Most characters of an id, and of a type or subject taken from a payload.'),
    key: size('1KiB', 'Largest partition key.'),
    bodyTime: duration('15s', 'Longest time until a body is complete.'),
    bodyRate: size('512B', 'Lowest rate of a body in bytes a second, on average after its first 5 s.'),
    values: count(
      50_000,
      1_000_000,
      'Most values in one event: members of objects and items of lists, at all levels.',
    ),
    unauthenticated: optionalSize(
      'Memory for bodies whose sender is not authenticated yet. Default: an eighth of buffered.',
    ),
    perSource: optionalSize(
      'Memory for bodies of one source. Default: three quarters of buffered, or the need of the largest request.',
    ),
    perAddress: optionalSize(
      'Memory for bodies of one client address. Default: half of buffered, or the need of the largest request.',
    ),
    headTime: duration(
      '10s',
      'Longest time until the head of a request is complete. On a new connection it begins with the connection.',
    ),
    connections: count(
      10_000,
      1_000_000,
      'Most connections; fewer if the process may not open as many files. When all are in use, new ones replace silent and idle ones.',
    ),
    connectionsPerAddress: count(
      1024,
      1_000_000,
      'Most connections of one address, or of one /64 in IPv6. Addresses in gateway.proxies have no such limit.',
    ),
  },
  'Limits of requests and connections. Each has its own status code.',
);

export const gateway = section(
  {
    listen: listen('0.0.0.0:8080', 'Public address, host:port.'),
    limits,
    cors: section(
      {
        origins: Type.Array(Type.String(), {
          default: [],
          description: 'Origins such as https://shop.example, or *.',
        }),
        credentials: Type.Boolean({ default: false, description: 'Allow browsers to send cookies.' }),
      },
      'Web pages that may send events.',
    ),
    proxies: names('Proxies in front whose X-Forwarded-For is trusted: addresses or CIDR ranges.', []),
    clientAddress: choice(
      ['none', 'truncated', 'full'],
      'none',
      'How the attribute clientip is stored. truncated: without its last 8 (IPv4) or 80 bits.',
    ),
    openapi: Type.Boolean({
      default: true,
      description: 'Describe the sources at /openapi.json.',
    }),
    keepAlive: duration(
      '75s',
      'How long an idle connection stays open: longer than in a load balancer in front.',
    ),
  },
  'Receives events over HTTP.',
);

export type GatewayDocument = Static<typeof gateway>;
