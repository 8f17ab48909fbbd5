import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { type Needs, testsByNeeds } from './test/projects.ts';

const KAFKA = 'test/services/share-kafka.ts';
const REDIS = 'test/services/share-redis.ts';
/** Servers that are started, once, when a file of the project runs. */
const SHARED: Record<Needs, string[]> = {
  quick: [],
  own: [],
  kafka: [KAFKA],
  redis: [REDIS],
  'kafka-redis': [KAFKA, REDIS],
};
const isAttack = (file: string) => file.startsWith('test/attack/');

const needs = Object.entries(testsByNeeds()) as [Needs, string[]][];

/** Milliseconds. `hook` is long where a new machine first builds programs and fetches servers, in hooks. */
const limits = (test: number, hook: number) => ({
  testTimeout: test,
  hookTimeout: hook,
  // A condition may take long on a busy machine, which is no failure.
  expect: { poll: { timeout: 90_000 }, requireAssertions: true },
  tags: [{ name: 'slow', description: 'takes seconds even on a fast machine', timeout: 300_000 }],
});

function project(name: Needs, files: string[]): TestProjectInlineConfiguration {
  return {
    test: {
      ...(name === 'quick' ? limits(60_000, 60_000) : limits(180_000, 900_000)),
      name,
      include: files.filter((file) => !isAttack(file)),
      globalSetup: SHARED[name],
      maxWorkers: 2,
      sequence: { groupOrder: 0 },
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      ...needs.map(([name, files]) => project(name, files)),
      {
        test: {
          ...limits(300_000, 900_000),
          name: 'attack',
          include: needs.flatMap(([, files]) => files.filter(isAttack)),
          globalSetup: [KAFKA, REDIS],
          // They take all of the machine, so no other file runs beside them.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
