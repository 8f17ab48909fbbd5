import type { TestProject } from 'vitest/node';
import { startKafka } from './kafka.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port` of the run's Kafka. */
    kafkaBrokers: string;
  }
}

/** One Kafka for the whole run: that of KAFKA_BROKERS, else one started here. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const kafka = process.env.KAFKA_BROKERS ? null : await startKafka();
  // The next project of this run finds it there.
  if (kafka !== null) process.env.KAFKA_BROKERS = kafka.brokers;
  project.provide('kafkaBrokers', process.env.KAFKA_BROKERS!);
  return kafka?.stop;
}
