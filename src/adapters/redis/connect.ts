import { isIP } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';
import type { RedisLogin, RedisServers } from '../../config/dedupe/types.ts';
import type { Address } from '../../config/values/address.ts';
import type { TlsConfig } from '../../config/values/tls.ts';

/** The server of one connection: by URL, behind sentinels, or a node of a cluster. */
export type Target = Exclude<RedisServers, { cluster: unknown }> | { node: Address; login: RedisLogin };

/**
 * A client that connects in the background, and again after a loss. While there is no connection commands reject at once.
 * No command is sent twice. `timeout`: milliseconds that a command may take.
 */
export function connect(target: Target, timeout: number): Redis {
  const options = {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: timeout,
    disconnectTimeout: 100,
    maxLoadingRetryTime: 1_000,
    retryStrategy: backoff,
    // A server that was demoted or lost its primary answers so; a new connection finds the primary.
    reconnectOnError: (error: Error) => /\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN)\b/.test(error.message),
  };
  if ('url' in target) return new Redis(target.url, options);
  if ('node' in target) {
    const { node, login } = target;
    // In a cluster the other nodes tell the new owner of a slot: the connection may stay.
    return new Redis({ ...options, ...node, ...loginOptions(login, node.host), reconnectOnError: null });
  }
  const { nodes, name, sentinelPassword, ...login } = target.sentinel;
  const sentinelTLS = tlsOptions(login.tls);
  const redis = new Redis({
    ...options,
    sentinels: nodes,
    name,
    sentinelCommandTimeout: timeout,
    sentinelRetryStrategy: backoff,
    // A primary that was replaced takes writes for ten more seconds, and they are lost.
    failoverDetector: true,
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...loginOptions(login),
    ...(sentinelTLS === null ? {} : { enableTLSForSentinelMode: true, sentinelTLS }),
  });
  // The failover detector has connections of its own to the sentinels; ioredis writes their errors to stderr.
  redis.on('connect', () => {
    const { failoverDetector } = (redis as unknown as { connector: Connector }).connector;
    for (const { client } of failoverDetector?.sentinels ?? []) client.on('error', () => {});
  });
  return redis;
}

/** A private part of ioredis' connector. sentinel.test.ts would notice a change. */
interface Connector {
  failoverDetector: { sentinels: { client: Redis }[] } | null;
}

function loginOptions(
  { username, password, tls }: RedisLogin,
  host?: string,
): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  const encrypted = tlsOptions(tls);
  const servername = host !== undefined && isIP(host) === 0 ? { servername: host } : {};
  return {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(encrypted === null ? {} : { tls: { ...encrypted, ...servername } }),
  };
}

function tlsOptions(tls: TlsConfig | null): object | null {
  if (tls === null) return null;
  const { verify, ...pem } = tls;
  return { ...pem, rejectUnauthorized: verify };
}

/** Milliseconds before the next attempt to connect: from 50 to 2000, doubling, half of it random. */
function backoff(attempt: number): number {
  const full = Math.min(2_000, 50 * 2 ** (attempt - 1));
  return (full + Math.random() * full) / 2;
}
