import type { Path } from '../text/path.ts';
import { type Address, readAddress } from '../values/address.ts';
import type { Reader } from '../values/reader.ts';
import { readTls } from '../values/tls.ts';
import type { DedupeDocument } from './shape.ts';
import type { DedupeConfig, RedisConfig, RedisLogin, RedisServers } from './types.ts';

type RedisDocument = NonNullable<DedupeDocument['redis']>;

/** Longest time in milliseconds that an id is remembered: a year. */
const MAX_WINDOW = 366 * 86_400_000;

/** Makes the config of the dedupe store of its document, and checks each value on its own. */
export function readDedupe(raw: DedupeDocument, reader: Reader): DedupeConfig {
  const { redis, embedded } = raw;
  if (!redis === !embedded) reader.findings.error(['dedupe'], 'needs one of redis and embedded');
  return {
    store: redis ? { redis: readRedis(redis, reader) } : { embedded: { path: embedded?.path ?? '.postern' } },
    window: reader.time(['dedupe', 'window'], raw.window, 1000, MAX_WINDOW),
    lease: reader.time(['dedupe', 'lease'], raw.lease, 1000, MAX_WINDOW),
    outage: raw.outage,
  };
}

function readRedis(raw: RedisDocument, reader: Reader): RedisConfig {
  const { prefix } = raw;
  const timeout = reader.time(at('timeout'), raw.timeout);
  // With empty braces Redis hashes the whole key, so keys that belong together would land in different slots.
  if (raw.cluster && /^[^{]*\{\}/.test(prefix)) {
    reader.findings.error(
      at('prefix'),
      'must not have {} in a cluster; a name in braces puts all keys in one slot',
    );
  }
  return { ...readServers(raw, reader), prefix, timeout };
}

function at(...rest: (string | number)[]): Path {
  return ['dedupe', 'redis', ...rest];
}

function readServers({ url, cluster, sentinel }: RedisDocument, reader: Reader): RedisServers {
  const { findings, secret } = reader;
  if ([url, cluster, sentinel].filter((one) => one !== undefined).length !== 1) {
    findings.error(at(), 'needs one of url, cluster and sentinel');
  }
  if (cluster)
    return {
      cluster: { nodes: readNodes('cluster', cluster, reader), ...readLogin('cluster', cluster, reader) },
    };
  if (sentinel) {
    const { name, sentinelPassword } = sentinel;
    if (name === '') findings.error(at('sentinel', 'name'), 'is empty');
    return {
      sentinel: {
        nodes: readNodes('sentinel', sentinel, reader),
        name,
        ...readLogin('sentinel', sentinel, reader),
        sentinelPassword: optional(sentinelPassword, (text) =>
          secret(at('sentinel', 'sentinelPassword'), text),
        ),
      },
    };
  }
  if (url === undefined) return { url: '' };
  const text = secret(at('url'), url);
  if (!/^rediss?:$/.test(URL.parse(text)?.protocol ?? '')) {
    findings.error(at('url'), 'must be a URL that begins with redis:// or rediss://');
  }
  return { url: text };
}

function readNodes(
  kind: 'cluster' | 'sentinel',
  { nodes }: { nodes: string[] },
  { findings }: Reader,
): Address[] {
  if (nodes.length === 0) findings.error(at(kind, 'nodes'), 'names no node');
  return nodes.map((node, index) => readAddress(findings, at(kind, 'nodes', index), node, 1));
}

function readLogin(
  kind: 'cluster' | 'sentinel',
  { username, password, tls }: Pick<NonNullable<RedisDocument['cluster']>, 'username' | 'password' | 'tls'>,
  reader: Reader,
): RedisLogin {
  const { findings, secret } = reader;
  if (username !== undefined && password === undefined)
    findings.error(at(kind, 'username'), 'needs a password');
  return {
    username: username ?? null,
    password: optional(password, (text) => secret(at(kind, 'password'), text)),
    tls: readTls(at(kind, 'tls'), tls, reader),
  };
}

function optional<T, U>(value: T | undefined, read: (value: T) => U): U | null {
  return value === undefined ? null : read(value);
}
