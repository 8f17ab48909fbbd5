import type { Config } from '../../config/config.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import { bearerToken } from '../../core/bearer.ts';
import { RequestError } from '../../core/errors.ts';
import type { Digests } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import { makeSource, type Source } from '../formats/source.ts';
import type { SignatureCheck } from '../signature/check.ts';
import { makeSignatureCheck } from '../signature/schemes.ts';
import { makeTokenCheck, type TokenCheck } from './token.ts';

/** A source, and the checks of its senders. */
export interface GuardedSource {
  source: Source;
  /** Digests of its keys, with the ids of the keys in the log. */
  keys: { id: string; digest: string }[];
  /**
   * Admissions by keys that were right before. Lookup time does not depend on how many leading characters match, as
   * the map's hash is seeded: no timing oracle.
   */
  known: Map<string, Admission>;
  token: TokenCheck | null;
  signature: SignatureCheck | null;
}

/** A source that a request may send to, and its sender. */
export interface Admission {
  guarded: GuardedSource;
  /** The id of the key or the subject of the token; null when anybody may send. */
  who: string | null;
}

export function guardSources(config: Pick<Config, 'sources'>, digests: Digests): Map<string, GuardedSource> {
  const sources = new Map<string, GuardedSource>();
  for (const source of config.sources.values()) {
    sources.set(source.name, {
      source: makeSource(source),
      keys: source.keys.map(({ id, key }) => ({ id, digest: digests.digest(key) })),
      known: new Map(),
      token: source.jwt === null ? null : makeTokenCheck(source.jwt),
      signature: source.verify === null ? null : makeSignatureCheck(source.verify),
    });
  }
  return sources;
}

/** Whether a request must have a key or a token in its head. */
export function needsKeyInHead({ keys, token }: GuardedSource): boolean {
  return keys.length > 0 || token !== null;
}

/** The source that a path names by `:source`. Throws RequestError `not_found`. */
export function sourceInPath(
  sources: Map<string, GuardedSource>,
  head: Head,
  protocol: SourceConfig['protocol'],
): GuardedSource {
  const guarded = sources.get(head.param('source')!);
  if (guarded?.source.config.protocol === protocol) return guarded;
  throw new RequestError('not_found', 'there is no source of this name');
}

/**
 * Checks the key or token of a request. Throws or rejects with RequestError `unauthorized`, the same for all failures;
 * a token may also give `keys_unavailable` and `overloaded`.
 */
export function admit(guarded: GuardedSource, head: Head, digests: Digests): Admission | Promise<Admission> {
  if (!needsKeyInHead(guarded)) return { guarded, who: null };
  const presented = presentedKey(head);
  if (presented === undefined) throw unauthorized();
  const known = guarded.known.get(presented);
  if (known !== undefined) return known;
  const id = keyOf(guarded, presented, digests);
  if (id !== null) {
    const admission = { guarded, who: id };
    guarded.known.set(presented, admission);
    return admission;
  }
  if (guarded.token === null) throw unauthorized();
  return guarded.token(presented).then((subject) => {
    if (subject === null) throw unauthorized();
    return { guarded, who: subject };
  });
}

/** The id of the key, or null when it is not a key of the source. Digests are compared in constant time. */
export function keyOf(guarded: GuardedSource, presented: string, digests: Digests): string | null {
  const digest = digests.digest(presented);
  let found: string | null = null;
  for (const key of guarded.keys) if (sameText(digest, key.digest)) found = key.id;
  return found;
}

/** RequestError `unauthorized`. Its text is the same for all failures: another one would help to guess. */
export function unauthorized(): RequestError {
  return new RequestError(
    'unauthorized',
    'send the key of this source as a Bearer token, as x-api-key, or as the Basic user name',
    { 'www-authenticate': 'Bearer, Basic realm="postern"' },
  );
}

/** RequestError for a compressed body with its key inside: a body is inflated only after its sender is admitted. */
export function keyNotInHead(): RequestError {
  const error = unauthorized();
  return new RequestError(
    'unauthorized',
    `a compressed body needs its key in the head: ${error.message}`,
    error.headers,
  );
}

/**
 * The key or token of a request: Bearer, Basic user name, `x-api-key`, `?key=`, `?access_token=`, `?writeKey=`, or
 * `:key` in its path.
 */
export function presentedKey({ header, query, param }: Head): string | undefined {
  const authorization = header('authorization');
  if (authorization !== undefined) {
    const token = bearerToken(authorization);
    if (token !== undefined) return token;
    if (/^basic /i.test(authorization)) return basicUser(authorization.slice('basic '.length).trim());
  }
  return header('x-api-key') ?? query('key') ?? query('access_token') ?? query('writeKey') ?? param('key');
}

function basicUser(credentials: string): string | undefined {
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(credentials), (c) => c.charCodeAt(0)));
    const colon = text.indexOf(':');
    return colon < 0 ? text : text.slice(0, colon);
  } catch {
    return undefined;
  }
}

function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
