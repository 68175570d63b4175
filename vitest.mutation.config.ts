import { defineConfig } from 'vitest/config';

/** What Stryker runs against every mutant: the tests of what it mutates, which need no database. */
export default defineConfig({
  test: {
    include: ['test/unit/encryption/**/*.test.ts', 'test/unit/key-format.test.ts'],
    testTimeout: 20_000,
  },
});
