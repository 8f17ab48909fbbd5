import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { JwtConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import { KnownTokens } from './known-tokens.ts';
import { MAX_AGE, remoteKeys, unavailable } from './token-keys.ts';

/**
 * Checks a JSON Web Token. Resolves with its subject ('' when it has none), or with null when the token is not good.
 * Rejects with RequestError: `keys_unavailable` when there are no keys to check it with, `overloaded` when too many
 * checks are running.
 */
export type TokenCheck = (token: string) => Promise<string | null>;

/** Characters; a longer token is refused unread. */
const MAX_TOKEN = 8192;
/** Characters; the subject is written to the log. */
const MAX_SUBJECT = 256;
/** Characters of all remembered tokens together. */
const MAX_KNOWN = 16 * 1024 * 1024;
/** Checks at once. While keys are fetched, tokens wait here. */
const MAX_CHECKS = 1000;
/** Seconds that the clocks of an issuer and a gateway may differ. */
const LEEWAY = 60;

/** The check that a source's `jwt` describes. Keys are fetched for the first token. */
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
      throw new RequestError('overloaded', 'too many tokens are checked at once', { 'retry-after': '1' });
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

/** A cheap test: three parts, of which the first may be a JSON object in base64url (`{` gives `e`). */
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
    // The token names no key, and several keys fit.
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
