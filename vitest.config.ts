import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/**/*.spec.ts'],
    // Native addons in worker threads of the runner hang or crash it; workers are tested on purpose in child processes.
    pool: 'forks',
    // The machine's two cores are what is measured and loaded: files run one after the other.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
