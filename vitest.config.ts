import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // Real servers are started, stopped and filled, and on a new machine programs are built first: slow, but never timed.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    maxWorkers: 2,
    // What is waited for is waited for long: a busy machine is no failure.
    expect: { poll: { timeout: 90_000 } },
  },
});
