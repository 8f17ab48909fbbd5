import { defineConfig } from 'vitest/config';

const EVERY = ['test/**/*.test.ts'];
/** They take all of the machine, so no other file runs beside them. */
const ATTACKS = ['test/attack/**/*.test.ts'];

const limits = {
  // Real servers are started, stopped and filled, and on a new machine programs are built first: slow, but never timed.
  testTimeout: 900_000,
  hookTimeout: 900_000,
  // What is waited for is waited for long: a busy machine is no failure.
  expect: { poll: { timeout: 90_000 } },
};

export default defineConfig({
  test: {
    include: EVERY,
    globalSetup: ['test/global-setup.ts'],
    projects: [
      {
        test: {
          ...limits,
          name: 'all',
          include: EVERY,
          exclude: ATTACKS,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...limits, name: 'attack', include: ATTACKS, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
