import { readFile } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { startKafka } from './services/kafka.ts';
import { startRedis } from './services/redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port` of the run's Kafka. */
    kafkaBrokers: string;
    /** URL of the run's Redis. */
    redisUrl: string;
  }
}

/**
 * One Kafka and one Redis for the whole run: those of KAFKA_BROKERS and REDIS_URL, else started here. A test
 * file that needs one says `inject('kafkaBrokers')` or `inject('redisUrl')` itself; without such a file none is started.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The command line's filter has no public name yet; without it services may be started for nothing.
  const { filenamePattern } = project.vitest as unknown as { filenamePattern?: string[] };
  const { testFiles } = await project.globTestFiles(filenamePattern);
  const texts = await Promise.all(testFiles.map((file) => readFile(file, 'utf8')));
  const needed = (name: string) => texts.some((text) => text.includes(`inject('${name}')`));

  const { KAFKA_BROKERS, REDIS_URL } = process.env;
  const [kafka, redis] = await Promise.all([
    !KAFKA_BROKERS && needed('kafkaBrokers') ? startKafka() : null,
    !REDIS_URL && needed('redisUrl') ? startRedis() : null,
  ]);
  project.provide('kafkaBrokers', KAFKA_BROKERS || (kafka?.brokers ?? ''));
  project.provide('redisUrl', REDIS_URL || (redis?.url ?? ''));
  return async () => {
    await Promise.all([kafka?.stop(), redis?.stop()]);
  };
}
