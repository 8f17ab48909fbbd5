import type { Admission } from '../admission/admit.ts';

/** Keeps sources and their keys to their rates. */
export interface Limiter {
  /** Throws RequestError `rate_limited` when there is nothing left; called before the body is read. */
  check(admission: Admission): void;
  /** Takes what a request holds. Throws or rejects with RequestError `rate_limited`, having taken nothing. */
  take(admission: Admission, events: number, bytes: number): void | Promise<void>;
  /** RateLimit fields for a reply. */
  headers(admission: Admission): Record<string, string>;
}
