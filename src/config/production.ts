import { isLoopback } from '../core/host.ts';
import type { Config, TlsConfig } from './config.ts';
import type { SourceConfig } from './source/types.ts';
import type { FunctionConfig, HttpFunction } from './subscription/types.ts';
import type { Path } from './text/text.ts';

/** A setting that works, and leaves a door open. */
export interface Weakness {
  path: Path;
  message: string;
  /**
   * `danger`: strangers get in who were not meant to; said at each start too. `weak`: fit for a trial only.
   * `note`: depends on the network, so it is never an error.
   */
  level: 'danger' | 'weak' | 'note';
}

/** Bytes of a secret that nobody guesses. */
const MIN_SECRET_BYTES = 16;
/** What the sample config and compose.yaml have in the place of secrets, and the documents of Standard Webhooks. */
const SAMPLES = new Set([
  'sample-write-key',
  'sample-secret',
  'for-this-laptop-only',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
]);
/** Headers that let the caller in. */
const LOGIN = /^(?:proxy-)?authorization$|^cookie$|key|token|secret|password/;

/** What of a config is too weak for a gateway that strangers can reach. */
export function weaknesses(config: Config): Weakness[] {
  const sources = [...config.sources.values()];
  // Behind a proxy of the same host the gateway listens on loopback, and is public all the same.
  const isPublic = !isLoopback(config.gateway.listen.host) || config.gateway.proxies.length > 0;
  return [
    ...sources.flatMap((source) => [
      ...(isPublic ? openToAll(source) : []),
      ...secretsOf(source).flatMap(weakSecret),
      ...weakTokens(source),
    ]),
    ...sharedSecrets(sources),
    ...weakStores(config),
    ...functionsOf(config).flatMap(([path, fn]) => weakFunction(path, fn)),
    ...weakAdmin(config.admin),
  ];
}

function openToAll({ name, keys, jwt, verify }: SourceConfig): Weakness[] {
  if (keys.length > 0 || jwt !== null || verify !== null) return [];
  return [weak(['sources', name], 'lets anybody send; give it keys, jwt or verify')];
}

interface Secret {
  path: Path;
  text: string;
}

interface SourceSecret extends Secret {
  source: string;
}

function secretsOf({ name, keys, verify }: SourceConfig): SourceSecret[] {
  const at = (...rest: (string | number)[]): Path => ['sources', name, ...rest];
  return [
    ...keys.map(({ key }, index) => ({ source: name, path: at('keys', index), text: key })),
    ...(verify?.secrets ?? []).map((text, index) => ({
      source: name,
      path: at('verify', 'secrets', index),
      text,
    })),
  ];
}

function weakSecret({ path, text }: Secret): Weakness[] {
  if (SAMPLES.has(text)) return [weak(path, 'is the secret of an example, which everybody knows; make one')];
  const bytes = Buffer.byteLength(text);
  if (bytes >= MIN_SECRET_BYTES) return [];
  return [
    weak(
      path,
      `has ${bytes} byte${bytes === 1 ? '' : 's'} and can be guessed; make one of ${MIN_SECRET_BYTES} random bytes or more`,
    ),
  ];
}

function sharedSecrets(sources: SourceConfig[]): Weakness[] {
  const first = new Map<string, SourceSecret>();
  return sources.flatMap(secretsOf).flatMap((secret) => {
    const other = first.get(secret.text);
    if (other === undefined) first.set(secret.text, secret);
    if (other === undefined || other.source === secret.source) return [];
    return [weak(secret.path, `is a secret of ${other.source} too; give each source its own`)];
  });
}

function weakTokens({ name, jwt }: SourceConfig): Weakness[] {
  if (jwt === null) return [];
  const path = ['sources', name, 'jwt'];
  const found: Weakness[] = [];
  if (jwt.audience === null) {
    const message =
      'has no audience: tokens that the issuer made for other services open this source; name it';
    found.push({ path, message, level: 'danger' });
  }
  if ('url' in jwt.jwks && isReadable(jwt.jwks))
    found.push(weak([...path, 'jwks'], 'comes over http: who is on the way can put in keys; use https'));
  return found;
}

function weakStores({ log, dedupe }: Config): Weakness[] {
  const found: Weakness[] = [];
  if ('kafka' in log.store) {
    const { tls, sasl } = log.store.kafka;
    const path = ['log', 'kafka', 'sasl'];
    found.push(...unverified(['log', 'kafka', 'tls'], tls));
    if (sasl?.mechanism === 'plain' && tls === null)
      found.push(weak(path, 'plain without tls sends the password readable; add tls: {}'));
    else if (sasl !== null && tls === null)
      found.push(note(path, 'without tls who is on the way can read the events; add tls: {}'));
  }
  if (!('redis' in dedupe.store)) return found;
  const redis = dedupe.store.redis;
  const path = ['dedupe', 'redis'];
  if ('url' in redis) {
    const url = URL.parse(redis.url);
    if (url?.protocol === 'redis:' && url.password !== '' && !isLoopback(url.hostname))
      found.push(note([...path, 'url'], 'sends its password readable; use rediss://'));
    return found;
  }
  if ('cluster' in redis) found.push(...unverified([...path, 'cluster', 'tls'], redis.cluster.tls));
  else found.push(...unverified([...path, 'sentinel', 'tls'], redis.sentinel.tls));
  return found;
}

function functionsOf({ subscriptions, workflows }: Config): [Path, FunctionConfig][] {
  const found: [Path, FunctionConfig][] = [];
  for (const { name, function: fn } of subscriptions.values())
    found.push([['subscriptions', name, 'function'], fn]);
  for (const { name, steps } of workflows.values()) {
    for (const [index, step] of steps.entries()) {
      const path = ['workflows', name, 'steps', index];
      const calls = 'parallel' in step ? step.parallel : 'waitFor' in step ? [] : [step];
      for (const [place, call] of calls.entries()) {
        const at = 'parallel' in step ? [...path, 'parallel', place] : path;
        found.push([[...at, 'function'], call.function]);
        if (call.undo !== null) found.push([[...at, 'undo'], call.undo]);
      }
    }
  }
  return found;
}

function weakFunction(path: Path, fn: FunctionConfig): Weakness[] {
  if (!('http' in fn)) return [];
  const at = [...path, 'http'];
  const found = unverified([...at, 'tls'], fn.http.tls);
  if (hasLogin(fn.http) && isReadable(fn.http))
    found.push(weak([...at, 'url'], 'gets its credentials over http, readable on the way; use https'));
  return found;
}

function hasLogin({ auth, headers }: HttpFunction): boolean {
  return auth !== null || Object.keys(headers).some((name) => LOGIN.test(name));
}

function weakAdmin({ listen, tokens }: Config['admin']): Weakness[] {
  const secrets = (['read', 'operate'] as const).flatMap((rights) =>
    tokens[rights].map((text, index) => ({ path: ['admin', 'tokens', rights, index], text })),
  );
  if (secrets.length > 0) return secrets.flatMap(weakSecret);
  if (isLoopback(listen.host)) return [];
  return [weak(['admin', 'listen'], 'opens the admin port to the network; give it admin.tokens')];
}

function unverified(path: Path, tls: TlsConfig | null): Weakness[] {
  if (tls === null || tls.verify) return [];
  return [weak([...path, 'verify'], 'false trusts any server; name its authority in ca')];
}

/** Whether others on the network can read what goes to a URL. */
function isReadable({ url }: { url: string }): boolean {
  const parsed = URL.parse(url);
  return parsed?.protocol === 'http:' && !isLoopback(parsed.hostname);
}

function weak(path: Path, message: string): Weakness {
  return { path, message, level: 'weak' };
}

function note(path: Path, message: string): Weakness {
  return { path, message, level: 'note' };
}
