import type { Config, Limits } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { Platform } from '../ports/platform.ts';
import { makeSource, type Source } from './sources/source.ts';

/** Room for requests and for the bytes that they hold; shared by all of a gateway. */
export class Room {
  readonly #limits: Limits;
  bytes = 0;
  requests = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Throws RequestError `overloaded` when there are too many requests or bytes. */
  enter(bytes: number): void {
    if (this.requests >= this.#limits.requests) throw overloaded('too many requests at once');
    this.requests++;
    try {
      this.grow(bytes);
    } catch (error) {
      this.requests--;
      throw error;
    }
  }

  grow(bytes: number): void {
    if (this.bytes + bytes > this.#limits.buffered) throw overloaded('too many bytes in work');
    this.bytes += bytes;
  }

  leave(bytes: number): void {
    this.requests--;
    this.bytes -= bytes;
  }
}

function overloaded(detail: string): RequestError {
  return new RequestError('overloaded', detail, { 'retry-after': '1' });
}

/** A source with the digests of its keys. */
export interface Door {
  source: Source;
  keys: string[];
  /** Keys that have opened it before. Finding one takes no longer the more of it is right: their hashes are seeded. */
  known: Set<string>;
}

export function makeDoors(config: Config, platform: Platform): Map<string, Door> {
  const doors = new Map<string, Door>();
  for (const source of config.sources.values()) {
    doors.set(source.name, {
      source: makeSource(source),
      keys: source.keys.map((key) => platform.digest(key)),
      known: new Set(),
    });
  }
  return doors;
}

/**
 * Checks the key that a request presents: Bearer, Basic user name, `x-api-key` or `?key=`. Digests of equal
 * length are compared in constant time. Throws RequestError `unauthorized`, the same for all failures.
 */
export function checkKey(
  door: Door,
  header: (name: string) => string | undefined,
  query: () => string | undefined,
  platform: Platform,
): void {
  if (door.keys.length === 0) return;
  const presented = presentedKey(header, query);
  if (presented !== undefined) {
    if (door.known.has(presented)) return;
    const digest = platform.digest(presented);
    let found = false;
    for (const key of door.keys) found = sameText(digest, key) || found;
    if (found) {
      door.known.add(presented);
      return;
    }
  }
  throw new RequestError(
    'unauthorized',
    'send the key of this source as a Bearer token, as x-api-key, or as the Basic user name',
    {
      'www-authenticate': 'Bearer, Basic realm="postern"',
    },
  );
}

function presentedKey(
  header: (name: string) => string | undefined,
  query: () => string | undefined,
): string | undefined {
  const authorization = header('authorization');
  if (authorization !== undefined) {
    const space = authorization.indexOf(' ');
    const scheme = authorization.slice(0, space).toLowerCase();
    const credentials = authorization.slice(space + 1).trim();
    if (scheme === 'bearer') return credentials;
    if (scheme === 'basic') return basicUser(credentials);
  }
  return header('x-api-key') ?? query();
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
