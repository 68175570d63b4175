import { expect, it } from 'vitest';
import { restartPauseMs } from '../../src/workers/restart-pause.ts';

it('a worker is replaced at once, unless its predecessor died as soon; then after pauses that grow to half a minute', () => {
  const pauses = [0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(restartPauseMs);
  expect(pauses).toEqual([0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});
