import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type ProviderKeyHistory, providerKeyHistory } from '../support/provider-key-history.ts';
import { type Foretold, ProviderKeyModel } from '../support/provider-key-model.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';

/** Of the property; a failure names the seed that finds the same steps again. */
const RUNS = 20;

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({ providerChecker: providers });
});
afterAll(() => service.stop());

/** Few, so that values come back. */
const secret = fc.constantFrom('not-a-real-secret-a', 'not-a-real-secret-b', 'not-a-real-secret-c');
const outcome = fc.constantFrom('valid', 'rejected', 'unreachable', 'unchecked');
/** Counted back from the newest, so that most are kept; -1 is yet to come. */
const back = fc.integer({ min: -1, max: 11 });

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('save' as const), secret, outcome: fc.option(outcome) }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('rollback' as const), back }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('report' as const),
      back,
      trouble: fc.constantFrom('rejected', 'rate_limited'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('check' as const), outcome }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('remove' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Takes the step in the service and in the model. */
async function take(doing: Step, key: ProviderKeyHistory, model: ProviderKeyModel) {
  switch (doing.does) {
    case 'save': {
      providers.outcome = doing.outcome ?? 'valid';
      const foretold = model.save(doing.secret, doing.outcome ?? undefined);
      return { foretold, answer: await key.save(doing.secret, { check: doing.outcome !== null }) };
    }
    case 'rollback': {
      const version = Math.max(1, model.counted - doing.back);
      return { foretold: model.rollback(version), answer: await key.rollback(version) };
    }
    case 'report': {
      const version = Math.max(1, model.counted - doing.back);
      return { foretold: model.report(version, doing.trouble), answer: await key.report(version, doing.trouble) };
    }
    case 'check':
      providers.outcome = doing.outcome;
      return { foretold: model.check(doing.outcome), answer: await key.check() };
    case 'remove':
      return { foretold: model.remove(), answer: await key.remove() };
  }
}

async function expectSame(key: ProviderKeyHistory, model: ProviderKeyModel): Promise<void> {
  const { versions } = (await key.versions()).body;
  const shown = versions.map(({ version, status, current }: Record<string, unknown>) => ({ version, status, current }));
  expect(shown).toEqual(
    model.versions.map(({ version, status }) => ({ version, status, current: version === model.counted })),
  );
  const { body } = await key.reveal();
  const revealed = body.code === undefined ? { secret: body.key, version: body.version } : body.code;
  const { current } = model;
  expect(revealed).toEqual(
    current === undefined ? 'provider_key_not_found' : { secret: current.secret, version: current.version },
  );
  const listed = await key.listed();
  expect([listed['version'], listed['status']]).toEqual([current?.version, current?.status]);
}

describe('a provider key, whatever is done to it one thing after the other', () => {
  it.each([
    ['of an organisation', () => providerKeyHistory(service, newOrganization())],
    ['of the platform', () => providerKeyHistory(service, null, `provider-${randomBytes(6).toString('hex')}`)],
  ])(
    '%s: has the history, the state and the secret that the model says',
    async (_whose, newKey) => {
      const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const key = newKey();
        const model = new ProviderKeyModel();
        for (const doing of steps) {
          const { foretold, answer } = await take(doing, key, model);
          const { status, body } = answer;
          const told: Foretold = { status };
          if (body.code !== undefined) told.code = body.code;
          if (foretold.version !== undefined) told.version = body.version;
          expect(told).toEqual(foretold);
          await expectSame(key, model);
        }
        // Every version that is kept opens as the secret that it was saved with.
        for (const { version, secret } of model.versions.toReversed()) {
          await key.rollback(version);
          expect((await key.reveal()).body.key).toBe(secret);
        }
      });
      await fc.assert(property, { numRuns: RUNS });
    },
    120_000,
  );
});
