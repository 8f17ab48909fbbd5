import type { Config } from '../../config/config.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import type { Digests } from '../../ports/platform.ts';
import type { Head } from '../body/head.ts';
import { makeSource, type Source } from '../formats/source.ts';
import { makeSignatureCheck, type SignatureCheck } from '../signature/check.ts';
import { makeTokenCheck, type TokenCheck } from './token.ts';

/** A source, and what opens it. */
export interface Door {
  source: Source;
  /** Digests, with the names that logs call the keys by. */
  keys: { id: string; digest: string }[];
  /** Keys that have opened it before. Finding one takes no longer the more of it is right: their hashes are seeded. */
  known: Map<string, Admission>;
  token: TokenCheck | null;
  signature: SignatureCheck | null;
}

/** Who sends. */
export interface Admission {
  door: Door;
  /** The key's id or the token's subject; null when anybody may send. */
  who: string | null;
}

export function makeDoors(config: Pick<Config, 'sources'>, digests: Digests): Map<string, Door> {
  const doors = new Map<string, Door>();
  for (const source of config.sources.values()) {
    doors.set(source.name, {
      source: makeSource(source),
      keys: source.keys.map(({ id, key }) => ({ id, digest: digests.digest(key) })),
      known: new Map(),
      token: source.jwt === null ? null : makeTokenCheck(source.jwt),
      signature: source.verify === null ? null : makeSignatureCheck(source.verify),
    });
  }
  return doors;
}

/** Whether the head of a request has to tell who sends it. */
export function isKeyed({ keys, token }: Door): boolean {
  return keys.length > 0 || token !== null;
}

/** The door that a path names by `:source`. Throws RequestError `not_found`. */
export function namedDoor(doors: Map<string, Door>, head: Head, protocol: SourceConfig['protocol']): Door {
  const door = doors.get(head.param('source')!);
  if (door?.source.config.protocol === protocol) return door;
  throw new RequestError('not_found', 'there is no source of this name');
}

/**
 * Checks the key or token that a request presents. Digests of equal length are compared in constant time.
 * Throws RequestError `unauthorized`, the same for all failures.
 */
export function admit(door: Door, head: Head, digests: Digests): Admission | Promise<Admission> {
  if (!isKeyed(door)) return { door, who: null };
  const presented = presentedKey(head);
  if (presented === undefined) throw unauthorized();
  const known = door.known.get(presented);
  if (known !== undefined) return known;
  const id = keyOf(door, presented, digests);
  if (id !== null) {
    const admission = { door, who: id };
    door.known.set(presented, admission);
    return admission;
  }
  if (door.token === null) throw unauthorized();
  return door.token(presented).then((subject) => {
    if (subject === null) throw unauthorized();
    return { door, who: subject };
  });
}

/** The id of the door's key that this is, or null. */
export function keyOf(door: Door, presented: string, digests: Digests): string | null {
  const digest = digests.digest(presented);
  let found: string | null = null;
  for (const key of door.keys) if (sameText(digest, key.digest)) found = key.id;
  return found;
}

/** One text for all failures: it must not help to guess. */
export function unauthorized(): RequestError {
  return new RequestError(
    'unauthorized',
    'send the key of this source as a Bearer token, as x-api-key, or as the Basic user name',
    { 'www-authenticate': 'Bearer, Basic realm="postern"' },
  );
}

/** The error for a compressed body that has its key inside: nothing is inflated before its sender is let in. */
export function keyNotInHead(): RequestError {
  const error = unauthorized();
  return new RequestError(
    'unauthorized',
    `a compressed body needs its key in the head: ${error.message}`,
    error.headers,
  );
}

/** The key that a request presents: Bearer, Basic user name, `x-api-key`, `?key=`, `?access_token=`, `?writeKey=`, or in its path. */
export function presentedKey({ header, query, param }: Head): string | undefined {
  const authorization = header('authorization');
  if (authorization !== undefined) {
    const space = authorization.indexOf(' ');
    const scheme = authorization.slice(0, space).toLowerCase();
    const credentials = authorization.slice(space + 1).trim();
    if (scheme === 'bearer') return credentials;
    if (scheme === 'basic') return basicUser(credentials);
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
