import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // Real servers are started, stopped and filled: slow, but never timed.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
    // What is waited for is waited for long: a busy machine is no failure.
    expect: { poll: { timeout: 90_000 } },
  },
});
