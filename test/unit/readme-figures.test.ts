import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { withFigures } from '../../bench/report/readme.ts';
import { readResults } from '../../bench/results.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

describe('The figures of the README', () => {
  it('are those of the benchmark that stands in docs/', async () => {
    const results = await readResults();
    expect(results.validate).toBeDefined();
    expect(withFigures(readme, results)).toBe(readme);
  });

  it('are of no quick run', async () => {
    const { validate, revocation, growth } = await readResults();
    expect([validate, revocation, growth].map((part) => part?.run.quick)).toEqual([false, false, false]);
  });

  it('have one place', () => {
    expect(() => withFigures('no place', {})).toThrow();
    expect(() => withFigures(readme + readme, {})).toThrow();
  });
});
