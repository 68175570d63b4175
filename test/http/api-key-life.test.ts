import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { KeyLife, type LifeStep } from '../support/key-life.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/replica-process.ts';

/** Of the property; a failure names the seed that finds the same steps again. */
const RUNS = 25;

/** Each a process, as in production. */
const replicas: ReplicaProcess[] = [];
beforeAll(async () => {
  const first = await startReplicaProcess();
  replicas.push(first, await startReplicaProcess({ beside: first }));
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
});

const replica = fc.nat({ max: 1 });
const which = fc.nat({ max: 5 });
/** Before the next step, a few steps later, or never while the test runs. */
const expiresInMs = fc.constantFrom(null, 100, 400, 60_000);
const scopes = fc.constantFrom<string[] | null>(
  null,
  [],
  ['read:orders'],
  ['write:orders', 'read:orders'],
  ['write:orders'],
);
const step: fc.Arbitrary<LifeStep | number> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('create' as const), replica, expiresInMs }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('switch' as const), replica, which, enabled: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('restrict' as const), replica, which, scopes }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('expire' as const), replica, which, expiresInMs }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('rotate' as const),
      replica,
      which,
      graceSeconds: fc.constantFrom(0, 1, 60),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('revoke' as const), replica, which }) },
  { weight: 2, arbitrary: fc.integer({ min: 10, max: 300 }) },
);

describe('The life of API keys, on two replicas', () => {
  it('goes by the rules, whatever is done to them and where', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const life = new KeyLife(replicas);
      await life.take({ does: 'create', replica: 0, expiresInMs: null });
      for (const doing of steps) {
        if (typeof doing === 'number') await sleep(doing);
        else await life.take(doing);
      }
    });
    await fc.assert(property, { numRuns: RUNS });
  }, 180_000);
});
