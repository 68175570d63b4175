import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, newOrganization } from '../support/client.ts';
import { holdProviderKeys } from '../support/held-provider-keys.ts';
import { expectProblem } from '../support/problem.ts';
import { type ProviderKeyHistory, providerKeyHistory, range } from '../support/provider-key-history.ts';
import { ScriptedChecker } from '../support/scripted-checker.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted } from '../support/webhooks.ts';

const providers = new ScriptedChecker();
let service: TestService;
beforeAll(async () => {
  service = await startService({ providerChecker: providers });
});
afterEach(() => {
  providers.release();
  providers.outcome = 'valid';
});
afterAll(() => service.stop());

const secretOf = (version: number) => `sk-not-a-real-secret-number-${version}`;

async function keyWith(versions: number) {
  const key = providerKeyHistory(service, newOrganization());
  for (const version of range(1, versions)) await key.save(secretOf(version));
  return key;
}

/** What comes of changes that have all prepared themselves before the first of them happens, in this order. */
async function inTurn(...changes: (() => Promise<Answer>)[]): Promise<Answer[]> {
  const held = await holdProviderKeys(service);
  const begun: { answer: Promise<Answer> }[] = [];
  try {
    for (const change of changes) begun.push(await held.queue(change));
  } finally {
    await held.release();
  }
  return Promise.all(begun.map(({ answer }) => answer));
}

async function kept(key: ProviderKeyHistory) {
  const { versions } = (await key.versions()).body;
  return versions.map(({ version, status }: Record<string, unknown>) => [version, status]);
}

const MOST_ATTEMPTS = 20;

describe('a rollback', () => {
  it('that comes after a save it knew nothing of is the version after that', async () => {
    const key = await keyWith(2);
    const [save, rollback] = await inTurn(
      () => key.save(secretOf(3)),
      () => key.rollback(1),
    );
    expect([save?.body.version, rollback?.body.version]).toEqual([3, 4]);
    expect((await key.reveal()).body).toMatchObject({ key: secretOf(1), version: 4 });
    await key.rollback(3);
    expect((await key.reveal()).body.key).toBe(secretOf(3));
  });

  it('that comes before a save that knew nothing of it is the version before that', async () => {
    const key = await keyWith(2);
    const [rollback, save] = await inTurn(
      () => key.rollback(1),
      () => key.save(secretOf(4)),
    );
    expect([rollback?.body.version, save?.body.version]).toEqual([3, 4]);
    expect((await key.reveal()).body).toMatchObject({ key: secretOf(4), version: 4 });
  });

  it('that comes after the same one makes no second version', async () => {
    const key = await keyWith(2);
    const answers = await inTurn(
      () => key.rollback(1),
      () => key.rollback(1),
      () => key.save(secretOf(1)),
    );
    expect(answers.map(({ status, body }) => [status, body.version])).toEqual([
      [200, 3],
      [200, 3],
      [200, 3],
    ]);
    expect((await kept(key)).length).toBe(3);
  });

  it('does not bring back what was deleted while its secret was in memory', async () => {
    const key = await keyWith(2);
    const [removed, rollback] = await inTurn(key.remove, () => key.rollback(1));
    expect(removed?.body.deleted).toBe(true);
    expectProblem(rollback as Answer, 404, 'provider_key_not_found');
    expect(await key.sealed()).toEqual([]);
  });

  it('does not bring it back into a key that was saved since either', async () => {
    // PostgreSQL keeps the first of those who wait for a row first, and lets the others go in either order.
    const codes: string[] = [];
    while (!codes.includes('provider_key_version_not_found') && codes.length < MOST_ATTEMPTS) {
      const key = await keyWith(2);
      const [, save, rollback] = await inTurn(
        key.remove,
        () => key.save(secretOf(3)),
        () => key.rollback(1),
      );
      expect({ status: save?.status, version: save?.body.version }).toEqual({ status: 201, version: 3 });
      expect(rollback?.status).toBe(404);
      codes.push(rollback?.body.code);
      expect((await key.sealed()).map(({ version }) => version)).toEqual([3]);
    }
    expect(codes.pop()).toBe('provider_key_version_not_found');
    expect(codes.every((code) => code === 'provider_key_not_found')).toBe(true);
  });

  it('does not bring back what ended with its organisation', async () => {
    const org = newOrganization();
    const key = providerKeyHistory(service, org);
    for (const version of [1, 2]) await key.save(secretOf(version));
    const held = await holdProviderKeys(service);
    const end = await held.queue(() => organizationDeleted(service, org));
    const rollback = await held.queue(() => key.rollback(1));
    await held.release();
    expect((await end.answer).status).toBe(200);
    expectProblem(await rollback.answer, 409, 'organization_deleted');
    expectProblem(await key.reveal(), 404, 'provider_key_not_found');
    expect((await key.sealed()).map(({ version }) => version)).toEqual([1, 2]);
  });

  it('does not bring back what a save destroyed as the eleventh', async () => {
    const key = await keyWith(10);
    const [save, rollback] = await inTurn(
      () => key.save(secretOf(11)),
      () => key.rollback(1),
    );
    expect(save?.body.version).toBe(11);
    expectProblem(rollback as Answer, 404, 'provider_key_version_not_found');
    expect((await key.sealed()).map(({ version }) => version)).toEqual(range(2, 11));
  });

  it('takes along what was learned of its secret while it waited', async () => {
    const key = await keyWith(2);
    const held = await holdProviderKeys(service);
    const { answer } = await held.queue(() => key.rollback(1));
    await key.report(1, 'rejected');
    await held.release();
    expect((await answer).body).toMatchObject({ version: 3, status: 'rejected' });
    expect(await kept(key)).toEqual([
      [3, 'rejected'],
      [2, 'unchecked'],
      [1, 'rejected'],
    ]);
  });

  it('that finds its secret current already leaves alone what is known of that', async () => {
    const key = await keyWith(2);
    await key.report(1, 'rejected');
    const held = await holdProviderKeys(service);
    const saved = await held.queue(() => key.save(secretOf(1), { check: true }));
    const rolledBack = await held.queue(() => key.rollback(1));
    await held.release();
    expect((await saved.answer).body).toMatchObject({ version: 3, status: 'valid' });
    expect((await rolledBack.answer).body).toMatchObject({ version: 3, status: 'valid' });
    expect((await kept(key))[0]).toEqual([3, 'valid']);
  });
});

describe('a save', () => {
  it('of the first key by two makes one row, and the second a version of it', async () => {
    const key = providerKeyHistory(service, newOrganization());
    const answers = await Promise.all([key.save(secretOf(1)), key.save(secretOf(2))]);
    expect(answers.map(({ status, body }) => [status, body.version]).toSorted()).toEqual([
      [200, 2],
      [201, 1],
    ]);
  });

  it('that comes after a delete it knew nothing of makes the key again, and counts on', async () => {
    const key = await keyWith(2);
    const [, save] = await inTurn(key.remove, () => key.save(secretOf(1)));
    expect({ status: save?.status, version: save?.body.version }).toEqual({ status: 201, version: 3 });
    expect((await key.reveal()).body).toMatchObject({ key: secretOf(1), version: 3 });
  });

  it('of the same value after another one, checked, is one version with what the provider said', async () => {
    const key = await keyWith(1);
    const [first, second] = await inTurn(
      () => key.save(secretOf(2)),
      () => key.save(secretOf(2), { check: true }),
    );
    expect(first?.body).toMatchObject({ version: 2, status: 'unchecked' });
    expect(second?.body).toMatchObject({ version: 2, status: 'valid' });
    expect(await kept(key)).toEqual([
      [2, 'valid'],
      [1, 'unchecked'],
    ]);
  });
});

describe('a check', () => {
  const asked = async (key: ProviderKeyHistory) => {
    providers.hold();
    const answer = key.check();
    await expect.poll(() => providers.waiting, { interval: 5 }).toBe(1);
    return { answer };
  };

  it('says nothing of the same secret that was rolled back to meanwhile, in another version', async () => {
    const key = await keyWith(2);
    providers.outcome = 'rejected';
    const check = await asked(key);
    await key.rollback(1);
    providers.release();
    expect((await check.answer).body).toMatchObject({ version: 2, status: 'rejected' });
    expect(await kept(key)).toEqual([
      [3, 'unchecked'],
      [2, 'rejected'],
      [1, 'unchecked'],
    ]);
  });

  it('says nothing of a key that was deleted and saved again meanwhile', async () => {
    const key = await keyWith(1);
    providers.outcome = 'rejected';
    const check = await asked(key);
    await key.remove();
    await key.save(secretOf(1));
    providers.release();
    expectProblem(await check.answer, 404, 'provider_key_version_not_found');
    expect(await kept(key)).toEqual([[2, 'unchecked']]);
  });

  it('and twenty saves at once leave each version with what is known of its own secret', async () => {
    const key = await keyWith(1);
    providers.outcome = 'valid';
    const answers = await Promise.all(
      range(2, 21).flatMap((n) => [key.save(secretOf(n)), key.check(), ...(n % 5 === 0 ? [key.rollback(1)] : [])]),
    );
    expect(answers.map(({ status }) => status).filter((status) => status !== 200 && status !== 404)).toEqual([]);
    const checked = new Set(answers.filter(({ body }) => body.outcome === 'valid').map(({ body }) => body.version));
    for (const [version, status] of await kept(key)) {
      if (status === 'valid') expect(checked).toContain(version);
    }
  });
});
