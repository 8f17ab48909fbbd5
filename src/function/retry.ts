export interface RetryPolicy {
  attempts: number;
  /** Milliseconds. */
  min: number;
  /** Milliseconds. */
  max: number;
}

/** Milliseconds. Node fires a longer timer at once. */
export const MAX_TIMER = 2 ** 31 - 1;
/** Milliseconds. Jitter may be nearly 0, which would be no back-off. */
const MIN_WAIT = 10;

/**
 * Milliseconds until the next attempt after `attempt` (from 1) failed: full jitter below min, 2·min, 4·min and so on, at
 * most max. `retryAfter` (ms, already clamped) is a lower bound, with up to `min` on top, so that callers with the same
 * Retry-After do not all come back at the same moment.
 */
export function retryWait(
  attempt: number,
  { min, max }: RetryPolicy,
  retryAfter: number | null,
  random: () => number,
): number {
  const ceiling = Math.min(max, min * 2 ** Math.min(attempt - 1, 50));
  const jitter = random();
  const wait = Math.max(Math.min(MIN_WAIT, max), jitter * ceiling);
  const asked = retryAfter === null ? 0 : retryAfter + jitter * Math.min(min, max);
  return Math.min(MAX_TIMER, Math.ceil(Math.max(wait, asked)));
}

/**
 * Milliseconds that a Retry-After header asks for, at most `cap`; null when there is none or it cannot be read. It is
 * whole seconds or an HTTP date (RFC 9110 section 10.2.3). Of several headers the longest counts.
 */
export function retryAfter(
  header: string | string[] | null | undefined,
  now: number,
  cap: number,
): number | null {
  if (header === null || header === undefined) return null;
  if (Array.isArray(header)) {
    const all = header.map((one) => retryAfter(one, now, cap)).filter((wait) => wait !== null);
    return all.length === 0 ? null : Math.max(...all);
  }
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(cap, Number(text) * 1000);
  // Date.parse alone takes almost any text for a date, such as `-5`.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null;
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(time) ? null : Math.min(cap, Math.max(0, time - now));
}
