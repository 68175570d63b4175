import { defineConfig } from 'vitest/config';

const inCi = process.env['CI'] !== undefined;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    reporters: inCi ? ['default', 'json'] : ['default'],
    outputFile: { json: 'reports/test-results.json' },
    coverage: {
      // The whole suite runs in CI; a part of it, run by hand, would miss the marks.
      enabled: inCi,
      provider: 'v8',
      include: ['src/**'],
      // Run as processes of their own (test/process), which the coverage of this one cannot see.
      exclude: [
        'src/main.ts',
        'src/start-workers.ts',
        'src/workers/{forked-worker,handed-over,worker,workers}.ts',
        'src/cli/**',
      ],
      reporter: ['text-summary', 'html'],
      thresholds: {
        lines: 90,
        'src/encryption/**': { branches: 100, lines: 100, functions: 100 },
        'src/key-format.ts': { branches: 100, lines: 100, functions: 100 },
      },
    },
  },
});
