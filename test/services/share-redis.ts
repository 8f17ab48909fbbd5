import type { TestProject } from 'vitest/node';
import { startRedis } from './redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the run's Redis. */
    redisUrl: string;
  }
}

/** One Redis for the whole run: that of REDIS_URL, else one started here. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const redis = process.env.REDIS_URL ? null : await startRedis();
  // The next project of this run finds it there.
  if (redis !== null) process.env.REDIS_URL = redis.url;
  project.provide('redisUrl', process.env.REDIS_URL!);
  return redis?.stop;
}
