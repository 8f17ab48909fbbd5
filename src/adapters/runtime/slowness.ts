import type { BodyLimits } from '../../ports/platform.ts';

/** Milliseconds in which a body may come at any speed: a lost packet costs a bad link some seconds. */
const GRACE_MS = 5_000;

/** Why the reading of a body ends when so many bytes came in so many milliseconds; null when it goes on. */
export function slowness(bytes: number, ms: number, { timeout, rate }: BodyLimits): string | null {
  if (ms >= timeout) return `the body did not come within ${timeout} ms`;
  const isSlow = ms > GRACE_MS && bytes * 1000 < rate * (ms - GRACE_MS);
  return isSlow ? `the body came more slowly than ${rate} bytes a second` : null;
}
