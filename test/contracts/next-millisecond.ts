import { setImmediate as turn } from 'node:timers/promises';

/** Resolves with the time when a new millisecond has begun: the clock of a log counts no smaller ones. */
export async function nextMillisecond(): Promise<number> {
  const before = Date.now();
  while (Date.now() === before) await turn();
  return Date.now();
}
