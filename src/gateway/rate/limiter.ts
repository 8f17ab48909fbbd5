import type { Admission } from '../admission/admit.ts';

/** Keeps sources and their keys to their rates. */
export interface Limiter {
  /** Called before the body is read. Throws RequestError `rate_limited` when no tokens are left. */
  check(admission: Admission): void;
  /** Spends the tokens of a request. Throws or rejects with RequestError `rate_limited`, and then spends nothing. */
  take(admission: Admission, events: number, bytes: number): void | Promise<void>;
  /** RateLimit fields for a reply. */
  headers(admission: Admission): Record<string, string>;
}
