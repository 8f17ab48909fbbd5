import type { Address } from '../values/address.ts';
import type { TlsConfig } from '../values/tls.ts';

export interface RedisLogin {
  username: string | null;
  password: string | null;
  tls: TlsConfig | null;
}

/** One server, the nodes of a cluster, or the server that the sentinels call the primary. */
export type RedisServers =
  | { url: string }
  | { cluster: RedisLogin & { nodes: Address[] } }
  | { sentinel: RedisLogin & { nodes: Address[]; name: string; sentinelPassword: string | null } };

/** `prefix` stands before every key. `timeout`: milliseconds until a call fails. */
export type RedisConfig = RedisServers & { prefix: string; timeout: number };

export interface DedupeConfig {
  store: { redis: RedisConfig } | { embedded: { path: string } };
  /** Milliseconds that a stored id is remembered. */
  window: number;
  /** Milliseconds that a claim lives after its process died. */
  lease: number;
  /** While the store is down: store events without a check for duplicates, or answer 503. */
  outage: 'accept' | 'refuse';
}
