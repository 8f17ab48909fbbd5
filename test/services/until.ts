import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  /** Milliseconds until it gives up. */
  ms?: number;
  /** Milliseconds between two looks. */
  every?: number;
}

/** Resolves as soon as `holds` is true. Throws, with `what` it waited for, when that takes too long. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { ms = 60_000, every = 50 }: Patience = {},
): Promise<void> {
  const ends = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > ends) throw new Error(`waited ${ms / 1000} s in vain: ${what}`);
    await sleep(every);
  }
}

/** Settles as the promise does. Throws, with `what` it waited for, when that takes too long. */
export async function within<T>(what: string, promise: Promise<T>, ms = 60_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms / 1000} s in vain: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
