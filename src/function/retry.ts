export interface RetryPolicy {
  attempts: number;
  /** Milliseconds. */
  min: number;
  /** Milliseconds. */
  max: number;
}

/** Longer timers fire at once. */
export const MAX_TIMER = 2 ** 31 - 1;
/** Milliseconds: jitter may choose next to nothing, which would be no back-off. */
const FLOOR = 10;

/**
 * Milliseconds until the next attempt after `attempt` (from 1) failed: full jitter below min, 2·min, 4·min
 * and so on, at most max. `retryAfter` (ms, already clamped) is a lower bound, with up to `min` on top, so
 * that callers who were told the same time do not all come back at once.
 */
export function retryWait(
  attempt: number,
  { min, max }: RetryPolicy,
  retryAfter: number | null,
  random: () => number,
): number {
  const ceiling = Math.min(max, min * 2 ** Math.min(attempt - 1, 50));
  const jitter = random();
  const wait = Math.max(Math.min(FLOOR, max), jitter * ceiling);
  const told = retryAfter === null ? 0 : retryAfter + jitter * Math.min(min, max);
  return Math.min(MAX_TIMER, Math.ceil(Math.max(wait, told)));
}

/**
 * Milliseconds that a Retry-After header asks for, at most `cap`; null when there is none or it is nonsense.
 * It is whole seconds or an HTTP date (RFC 9110 section 10.2.3). Of several headers the longest counts.
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
  // Date.parse alone takes almost anything for a date, `-5` for one.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null;
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(time) ? null : Math.min(cap, Math.max(0, time - now));
}
