import type { JwtConfig } from '../config-source-types.ts';

/** Checks a JSON Web Token; resolves with its subject ('' when it has none), or null when it is not good. */
export type TokenCheck = (token: string) => Promise<string | null>;

/** The check that a source's `jwt` describes. */
export function makeTokenCheck(_config: JwtConfig): TokenCheck {
  throw new Error('not built yet');
}
