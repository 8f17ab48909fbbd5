import { formatDuration, formatSize, parseDuration, parseSize } from '../core/units.ts';
import { readAdmin } from './admin/resolve.ts';
import type { Config, KafkaConfig } from './config.ts';
import { readLimits } from './gateway/limits.ts';
import { readRedis } from './redis/resolve.ts';
import type { ConfigDocument } from './shape.ts';
import { readSource } from './source/resolve.ts';
import { readStream } from './stream/resolve.ts';
import { readSubscription } from './subscription/resolve.ts';
import type { Findings, Path } from './text/text.ts';
import { readAddress, readRange, readSecret, readTls, type SecretReader } from './values.ts';
import { readWorkflow } from './workflow/resolve.ts';

/** Longest wait of a timer: above it Node fires at once. */
const TIMER = 24 * 86_400_000;
/** Longest time that a store is asked to remember something. */
const YEAR = 366 * 86_400_000;

/** Turns a document of the right shape into the config, each value checked for itself. */
export function resolveConfig(document: ConfigDocument, findings: Findings, readFile: SecretReader): Config {
  const { gateway, log, dedupe } = document;
  const secret = (path: Path, text: string) => readSecret(findings, path, text, readFile);
  const time = (path: Path, text: string, min = 1, max = TIMER) =>
    within(findings, path, parseDuration(text), min, max, formatDuration);
  const size = (path: Path, text: string, max: number) =>
    within(findings, path, parseSize(text), 1, max, formatSize);
  const reader: Reader = { findings, secret, time, size };
  // A topic that nobody asked for must not be missed where none is created.
  const creates = log.kafka?.create !== false;
  const read = <R, T>(raw: Record<string, R>, one: (name: string, raw: R, reader: Reader) => T) =>
    new Map(Object.entries(raw).map(([name, value]) => [name, one(name, value, reader)]));
  return {
    gateway: {
      listen: readAddress(findings, ['gateway', 'listen'], gateway.listen),
      limits: readLimits(gateway.limits, reader),
      cors: gateway.cors,
      proxies: gateway.proxies.map((text, index) => readRange(findings, ['gateway', 'proxies', index], text)),
      clientAddress: gateway.clientAddress,
      openapi: gateway.openapi,
      keepAlive: time(['gateway', 'keepAlive'], gateway.keepAlive),
    },
    admin: readAdmin(document.admin, reader),
    log: {
      store: logStore(log, reader),
      spool: log.spool ? readSpool(log.spool, reader) : null,
      timeout: time(['log', 'timeout'], log.timeout),
    },
    dedupe: {
      store: dedupeStore(dedupe, reader),
      window: time(['dedupe', 'window'], dedupe.window, 1000, YEAR),
      lease: time(['dedupe', 'lease'], dedupe.lease, 1000, YEAR),
      outage: dedupe.outage,
    },
    schemas: document.schemas,
    sources: read(document.sources, readSource),
    subscriptions: read(document.subscriptions, (name, raw) => readSubscription(name, raw, creates, reader)),
    streams: read(document.streams, readStream),
    workflows: read(document.workflows, readWorkflow),
    grace: time(['grace'], document.grace),
    logLevel: document.logLevel,
  };
}

/** Reads single values, and notes what is wrong with them. */
export interface Reader {
  findings: Findings;
  secret(path: Path, text: string): string;
  time(path: Path, text: string, min?: number, max?: number): number;
  size(path: Path, text: string, max: number): number;
}

function within(
  findings: Findings,
  path: Path,
  value: number | null,
  min: number,
  max: number,
  format: (value: number) => string,
): number {
  if (value === null || value < min || value > max) {
    findings.error(path, `must be between ${format(min)} and ${format(max)}`);
  }
  return value ?? min;
}

function logStore(
  log: ConfigDocument['log'],
  { findings, secret, time, size }: Reader,
): Config['log']['store'] {
  const at = (...rest: string[]): Path => ['log', ...rest];
  if (!log.kafka === !log.embedded) findings.error(at(), 'needs one of kafka and embedded');
  if (log.kafka) return { kafka: readKafka(log.kafka, findings, secret) };
  const path = log.embedded?.path ?? '.postern';
  const { age, size: bytes } = log.embedded?.retention ?? { age: '7d', size: '1GiB' };
  const retention = at('embedded', 'retention');
  return {
    embedded: {
      path,
      retention: {
        age: time([...retention, 'age'], age, 1000, 10 * YEAR),
        size: size([...retention, 'size'], bytes, 2 ** 50),
      },
    },
  };
}

function readSpool(
  raw: NonNullable<ConfigDocument['log']['spool']>,
  { time, size }: Reader,
): NonNullable<Config['log']['spool']> {
  return {
    path: raw.path,
    max: size(['log', 'spool', 'max'], raw.max, 2 ** 50),
    after: time(['log', 'spool', 'after'], raw.after),
  };
}

function readKafka(
  raw: NonNullable<ConfigDocument['log']['kafka']>,
  findings: Findings,
  secret: Reader['secret'],
): KafkaConfig {
  const at = (...rest: (string | number)[]): Path => ['log', 'kafka', ...rest];
  if (raw.brokers.length === 0) findings.error(at('brokers'), 'names no broker');
  for (const [index, broker] of raw.brokers.entries()) readAddress(findings, at('brokers', index), broker, 1);
  const { create } = raw;
  return {
    brokers: raw.brokers,
    clientId: raw.clientId,
    tls: raw.tls ? readTls(at('tls'), raw.tls, secret) : null,
    sasl: raw.sasl ? { ...raw.sasl, password: secret(at('sasl', 'password'), raw.sasl.password) } : null,
    compression: raw.compression,
    client: raw.client,
    create: create === false ? null : create === true ? { partitions: 0, replication: 0 } : create,
  };
}

function dedupeStore(dedupe: ConfigDocument['dedupe'], reader: Reader): Config['dedupe']['store'] {
  if (!dedupe.redis === !dedupe.embedded)
    reader.findings.error(['dedupe'], 'needs one of redis and embedded');
  if (!dedupe.redis) return { embedded: { path: dedupe.embedded?.path ?? '.postern' } };
  return { redis: readRedis(dedupe.redis, reader) };
}
