import type { Problem } from '../core/problem.ts';
import { checkTogether } from './check.ts';
import { weaknesses } from './production.ts';
import type { RedisConfig } from './redis/resolve.ts';
import { resolveConfig } from './resolve.ts';
import type { SourceConfig } from './source/types.ts';
import type { StreamConfig } from './stream/types.ts';
import type { SubscriptionConfig } from './subscription/types.ts';
import { checkShape } from './text/faults.ts';
import { Findings, readYaml } from './text/text.ts';
import type { WorkflowConfig } from './workflow/types.ts';

/**
 * The config as the code uses it: durations in milliseconds, sizes in bytes, defaults filled in, names
 * resolved. `readConfig` makes it from the YAML text.
 */

export interface Limits {
  /** Bytes of a body as sent. */
  body: number;
  /** Bytes of a body after content-encoding. */
  decompressed: number;
  /** Bytes of one event. */
  event: number;
  /** Events in one request. */
  batch: number;
  /** Bytes of bodies held at once, all requests together. */
  buffered: number;
  /** Requests in work at once. */
  requests: number;
  /** Nesting depth of one event: `{}` is 1. */
  depth: number;
  /** Header fields of one request. */
  headers: number;
  /** Characters of an id, and of any other attribute. */
  id: number;
  /** Bytes of a partition key. */
  key: number;
  /** Milliseconds in which the body must have come. */
  bodyTime: number;
  /** Bytes a second that a body must come with on average. */
  bodyRate: number;
  /** Values in one event, containers included. */
  values: number;
  /** Bytes that the bodies of all who are not let in yet may take of `buffered`. */
  unauthenticated: number;
  /** Bytes that one source may take of `buffered`. */
  perSource: number;
  /** Bytes that one client address may take of `buffered`. */
  perAddress: number;
  /** Milliseconds in which the head of a request must have come. */
  headTime: number;
  /** Connections at once. */
  connections: number;
  /** Connections of one address. */
  connectionsPerAddress: number;
}

/** PEM texts; `verify`: whether the server's certificate is. */
export interface TlsConfig {
  ca?: string;
  cert?: string;
  key?: string;
  verify: boolean;
}

export interface KafkaConfig {
  brokers: string[];
  clientId: string;
  tls: TlsConfig | null;
  sasl: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | null;
  compression: 'none' | 'gzip';
  /** What appends. */
  client: 'kafkajs' | 'platformatic';
  /** Create topics that are missing at start, with the broker's defaults unless given here. */
  create: { partitions: number; replication: number } | null;
}

export interface Config {
  gateway: {
    listen: Address;
    limits: Limits;
    cors: { origins: string[]; credentials: boolean };
    /** Addresses and CIDR ranges of proxies whose X-Forwarded-For is believed. */
    proxies: string[];
    clientAddress: 'none' | 'truncated' | 'full';
    /** Whether `/openapi.json` is there. */
    openapi: boolean;
    /** Milliseconds that an idle connection is kept. */
    keepAlive: number;
  };
  admin: {
    listen: Address;
    /** Names, in lower case, that requests may have as Host, besides localhost, IP addresses and the machine's own. */
    hosts: string[];
    /** Needed for all but health and metrics, unless there are none and `listen` is a loopback address. */
    tokens: { read: string[]; operate: string[] };
  };
  log: {
    store: { kafka: KafkaConfig } | { embedded: { path: string; retention: { age: number; size: number } } };
    /** Where events wait on disk while Kafka takes none; `after` in milliseconds, `max` in bytes. */
    spool: { path: string; max: number; after: number } | null;
    /** Milliseconds after which a request whose events are not stored yet is answered 503. */
    timeout: number;
  };
  dedupe: {
    store: { redis: RedisConfig } | { embedded: { path: string } };
    /** Milliseconds for which a stored id is remembered. */
    window: number;
    /** Milliseconds that a claim lives when its process dies. */
    lease: number;
    outage: 'accept' | 'refuse';
  };
  /** Folder, absolute or relative to the config file. */
  schemas: string;
  sources: Map<string, SourceConfig>;
  subscriptions: Map<string, SubscriptionConfig>;
  streams: Map<string, StreamConfig>;
  workflows: Map<string, WorkflowConfig>;
  /** Milliseconds between SIGTERM and giving up. */
  grace: number;
  logLevel: string;
}

export interface Address {
  host: string;
  port: number;
}

/** What `examineConfig` found: all problems, and the config as far as it can be told. */
export interface Examination {
  /** For further checks only when there are errors: what was wrong in it is missing. */
  config: Config | null;
  findings: Findings;
}

export interface ReadOptions {
  /** Name of the file, for problems. */
  file: string;
  /** Reads what `file:/path` names; throws when it cannot. */
  readFile?: (path: string) => string;
  /** Takes events on loopback only, where the text does not say where to. */
  local?: boolean;
}

/** The config of a YAML text, or null and at least one error. Pure but for `readFile`; never throws. */
export function readConfig(
  text: string,
  env: Record<string, string | undefined>,
  options: ReadOptions,
): { config: Config | null; problems: Problem[] } {
  const { config, findings } = examineConfig(text, env, options);
  const wrong = findings.problems.some(({ level }) => level === 'error');
  if (config !== null && !wrong) {
    for (const { path, message, level } of weaknesses(config))
      if (level === 'danger') findings.warn(path, message);
  }
  return { config: wrong ? null : config, problems: findings.sorted() };
}

/** As `readConfig`, but keeps what can be understood of a config with errors, so that more can be checked. */
export function examineConfig(
  text: string,
  env: Record<string, string | undefined>,
  { file, readFile = noFiles, local = false }: ReadOptions,
): Examination {
  const findings = new Findings(file);
  const raw = readYaml(text, env, findings);
  const document = raw === undefined ? null : checkShape(raw, findings);
  if (!document) return { config: null, findings };
  const config = resolveConfig(document, findings, readFile);
  if (local && !findings.written(['gateway', 'listen'])) config.gateway.listen.host = '127.0.0.1';
  checkTogether(config, findings);
  return { config, findings };
}

function noFiles(): never {
  throw new Error('files cannot be read here');
}
