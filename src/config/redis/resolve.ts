import type { Address, TlsConfig } from '../config.ts';
import type { Reader } from '../resolve.ts';
import type { ConfigDocument } from '../shape.ts';
import type { Path } from '../text/text.ts';
import { readAddress, readTls } from '../values.ts';

export interface RedisLogin {
  username: string | null;
  password: string | null;
  tls: TlsConfig | null;
}

/** One server, the nodes of a cluster, or whichever server the sentinels call the primary. */
export type RedisServers =
  | { url: string }
  | { cluster: RedisLogin & { nodes: Address[] } }
  | { sentinel: RedisLogin & { nodes: Address[]; name: string; sentinelPassword: string | null } };

/** `prefix` goes before every key; `timeout`: milliseconds in which each call settles. */
export type RedisConfig = RedisServers & { prefix: string; timeout: number };

type Raw = NonNullable<ConfigDocument['dedupe']['redis']>;

/** The config of Redis, each value checked. */
export function readRedis(raw: Raw, reader: Reader): RedisConfig {
  const { prefix } = raw;
  const timeout = reader.time(at('timeout'), raw.timeout);
  // With empty braces Redis takes the whole key for its place: nothing could be kept together.
  if (raw.cluster && /^[^{]*\{\}/.test(prefix)) {
    reader.findings.error(
      at('prefix'),
      'must not hold {} in a cluster; a name in braces puts all keys in one slot',
    );
  }
  return { ...readServers(raw, reader), prefix, timeout };
}

function at(...rest: (string | number)[]): Path {
  return ['dedupe', 'redis', ...rest];
}

function readServers({ url, cluster, sentinel }: Raw, reader: Reader): RedisServers {
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
  { username, password, tls }: Pick<NonNullable<Raw['cluster']>, 'username' | 'password' | 'tls'>,
  { findings, secret }: Reader,
): RedisLogin {
  if (username !== undefined && password === undefined)
    findings.error(at(kind, 'username'), 'needs a password');
  return {
    username: username ?? null,
    password: optional(password, (text) => secret(at(kind, 'password'), text)),
    tls: optional(tls, (raw) => readTls(at(kind, 'tls'), raw, secret)),
  };
}

function optional<T, U>(value: T | undefined, read: (value: T) => U): U | null {
  return value === undefined ? null : read(value);
}
