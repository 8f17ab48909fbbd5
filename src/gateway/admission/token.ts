import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { JwtConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import { fetchKeySet } from './token-keys.ts';

/**
 * Checks a JSON Web Token; resolves with its subject ('' when it has none), or null when it is not good. Rejects
 * with RequestError `keys_unavailable` when that can't be told, `overloaded` when too many are being checked.
 */
export type TokenCheck = (token: string) => Promise<string | null>;

/** Characters; a longer token is not looked at. */
const MAX_TOKEN = 8192;
/** Characters; subjects are names in logs. */
const MAX_SUBJECT = 256;
/** Characters of all tokens that are remembered. */
const MAX_KNOWN = 16 * 1024 * 1024;
/** Checks at once: while the keys are being fetched, tokens wait. */
const MAX_CHECKS = 1000;
/** Seconds that the clocks of an issuer and a gateway may differ. */
const LEEWAY = 60;
/** Milliseconds until keys are fetched again: a key that was withdrawn opens nothing after twice this time. */
const MAX_AGE = 600_000;
/** Milliseconds between two fetches that tokens of unknown keys may cause. */
const COOLDOWN = 5_000;
/** Milliseconds that a fetch may take, and between a failed one and the next. */
const FETCH_TIME = 3_000;
const PAUSE = 2_000;

/** The check that a source's `jwt` describes. Keys are fetched when the first token comes. */
export function makeTokenCheck(config: JwtConfig): TokenCheck {
  const { jwks, issuer, audience, algorithms } = config;
  const keys = 'url' in jwks ? remoteKeys(new URL(jwks.url)) : createLocalJWKSet(keySet(jwks.text));
  const options: JWTVerifyOptions = {
    algorithms,
    requiredClaims: ['exp'],
    clockTolerance: LEEWAY,
    ...(issuer === null ? {} : { issuer }),
    ...(audience === null ? {} : { audience }),
  };
  const known = new KnownTokens(MAX_KNOWN);
  let checks = 0;

  return async (token) => {
    if (token.length > MAX_TOKEN || !isCompact(token)) return null;
    const seen = known.get(token);
    if (seen !== undefined) return seen;
    if (checks >= MAX_CHECKS) {
      throw new RequestError('overloaded', 'too many tokens are being checked', { 'retry-after': '1' });
    }
    checks++;
    try {
      const { sub = '', exp } = await verify(token, keys, options);
      if (typeof sub !== 'string' || sub.length > MAX_SUBJECT) return null;
      known.add(token, sub, Math.min((exp! + LEEWAY) * 1000, Date.now() + MAX_AGE));
      return sub;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error instanceof RequestError ? error : unavailable(error);
    } finally {
      checks--;
    }
  };
}

/** Three parts, the first of which may be a JSON object in base64url: most of what is no token costs nothing more. */
function isCompact(token: string): boolean {
  return token.startsWith('e') && token.split('.', 4).length === 3;
}

function keySet(text: string): JSONWebKeySet {
  return JSON.parse(text) as JSONWebKeySet;
}

async function verify(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    // The token names no key, and several would do.
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong;
      }
    }
    throw error;
  }
}

/** The keys behind a URL. Those that were fetched once go on working when it does not answer any more. */
function remoteKeys(url: URL): JWTVerifyGetKey {
  // When to fetch is decided here: the set itself would refuse all tokens once it is old and can't be renewed.
  const set = createRemoteJWKSet(url, {
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    timeoutDuration: FETCH_TIME,
    [customFetch]: fetchKeySet,
  });
  let fetched = Number.NEGATIVE_INFINITY;
  let failed = Number.NEGATIVE_INFINITY;
  let reason: unknown;
  let fetching: Promise<void> | null = null;
  let begun = 0;

  async function load(): Promise<void> {
    try {
      await set.reload();
      fetched = performance.now();
    } catch (error) {
      failed = performance.now();
      reason = error;
    } finally {
      fetching = null;
    }
    if (failed > fetched) throw unavailable(reason);
  }

  function renew(): Promise<void> {
    const now = performance.now();
    // Some runtimes drop what a request has begun once it is answered: such a fetch never ends.
    if (now - begun > 2 * FETCH_TIME) fetching = null;
    if (fetching === null && now - failed < PAUSE) return Promise.reject(unavailable(reason));
    if (fetching === null) {
      begun = now;
      fetching = load();
    }
    return fetching;
  }

  return async (header, token) => {
    if (fetched === Number.NEGATIVE_INFINITY) await renew();
    else if (performance.now() - fetched > MAX_AGE) renew().catch(() => {});
    try {
      return await set(header, token);
    } catch (error) {
      const isNew = performance.now() - fetched < COOLDOWN;
      if (!(error instanceof errors.JWKSNoMatchingKey) || isNew) throw error;
      await renew();
      return set(header, token);
    }
  };
}

/**
 * Good tokens, of at most so many characters together; the oldest make room. Finding one takes no longer the more of
 * it is right: hashes of the map are seeded.
 */
export class KnownTokens {
  readonly #tokens = new Map<string, { subject: string; until: number }>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(token: string): string | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined || Date.now() < known.until) return known?.subject;
    this.#forget(token);
    return undefined;
  }

  /** `until`: milliseconds since 1970. */
  add(token: string, subject: string, until: number): void {
    // The same token may have been checked twice at once.
    this.#forget(token);
    this.#tokens.set(token, { subject, until });
    this.#size += token.length;
    for (const oldest of this.#tokens.keys()) {
      if (this.#size <= this.#limit) break;
      this.#forget(oldest);
    }
  }

  #forget(token: string): void {
    if (this.#tokens.delete(token)) this.#size -= token.length;
  }
}

/** Errors of the key store may hold claims of a token or a URL: the log gets the kind of failure alone. */
function unavailable(error: unknown): RequestError {
  const fault = new RequestError('keys_unavailable', 'the keys of the token issuer cannot be had now', {
    'retry-after': '3',
  });
  const { name, cause } = error as Error & { cause?: { code?: unknown } };
  fault.cause = typeof cause?.code === 'string' ? cause.code : name;
  return fault;
}
