import { setImmediate as turn } from 'node:timers/promises';

/** A time after all that is stored now and not after anything that is stored later: a log's clock counts milliseconds. */
export async function nextMillisecond(): Promise<number> {
  const now = Date.now();
  while (Date.now() <= now) await turn();
  return Date.now();
}
