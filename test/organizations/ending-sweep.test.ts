import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted, sendEvent } from '../support/webhooks.ts';

let clerk: ClerkStandIn;
const replicas: TestService[] = [];
let service: TestService;
beforeAll(async () => {
  clerk = await startClerkStandIn();
  service = await startService({ environment: clerk.environment });
  replicas.push(service);
  for (let n = 0; n < 2; n += 1) {
    replicas.push(await startService({ beside: service, environment: service.environment }));
  }
});
afterEach(() => {
  clerk.behaviour = {};
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
  await clerk.close();
});

/** As if so many days had passed since it ended. */
const daysPass = (org: string, days: number) =>
  service.sql(
    `update key_service.organizations set
       destroy_after = destroy_after - make_interval(days => $2), due_at = due_at - make_interval(days => $2)
     where clerk_org_id = $1`,
    [org, days],
  );
const stateOf = async (org: string) => {
  const [row] = await service.sql<{
    ended: boolean;
    destroyed: boolean;
    due: string;
    data_keys: number;
    secrets: number;
  }>(
    `select o.ended_at is not null as ended, o.destroyed_at is not null as destroyed,
       case when o.due_at is null then 'never' when o.due_at <= now() then 'now'
         when o.due_at = o.destroy_after then 'when it may be destroyed' else 'later' end as due,
       (select count(*)::int from key_service.data_keys d where d.organization_id = o.id) as data_keys,
       (select count(*)::int from key_service.provider_key_versions v
         join key_service.provider_keys k on k.id = v.provider_key_id where k.organization_id = o.id) as secrets
     from key_service.organizations o where o.clerk_org_id = $1`,
    [org],
  );
  return row;
};
const askedAbout = (org: string) => clerk.requests.filter(({ url }) => url === `/v1/organizations/${org}`).length;
const DESTROYED = { ended: true, destroyed: true, due: 'never', data_keys: 0, secrets: 0 };

/** An organisation with a secret and an API key, which Clerk has just called deleted. */
async function deletedOrganization(): Promise<{ org: string; key: string }> {
  const org = newOrganization();
  const { key } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
  expect((await organizationDeleted(service, org)).status).toBe(200);
  return { org, key };
}

describe('an organisation that Clerk has deleted', () => {
  it('keeps its secrets for seven days, and loses them when Clerk, asked again, does not know it', async () => {
    const { org } = await deletedOrganization();
    await daysPass(org, 6);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await stateOf(org)).toMatchObject({ destroyed: false, data_keys: 1, secrets: 1 });
    expect(askedAbout(org)).toBe(0);
    await daysPass(org, 1);
    await expect.poll(() => stateOf(org)).toEqual(DESTROYED);
  });

  it('is asked about and destroyed by one of the replicas, and the log of that one says so', async () => {
    const gone = await Promise.all(Array.from({ length: 6 }, deletedOrganization));
    await Promise.all(gone.map(({ org }) => daysPass(org, 7)));
    for (const { org } of gone) {
      await expect.poll(() => stateOf(org)).toEqual(DESTROYED);
      expect(askedAbout(org)).toBe(1);
      const rows = await service.sql<{ id: string }>(
        'select id from key_service.organizations where clerk_org_id = $1',
        [org],
      );
      const lines = replicas.flatMap(({ logLines }) =>
        logLines.filter((line) => line['organizationId'] === rows[0]?.id),
      );
      expect(lines.map(({ msg }) => msg)).toEqual(['the secrets of a deleted organisation are destroyed']);
    }
  });

  it.each([
    ['does not answer', { hang: true }],
    ['fails', { status: 500 }],
    ['refuses the secret key', { status: 401 }],
    ['limits', { status: 429 }],
    ['answers 404 in other words than its own', { status: 404 }],
  ])('keeps its secrets while Clerk %s, and is asked about again later', async (_what, behaviour) => {
    const { org } = await deletedOrganization();
    clerk.behaviour = behaviour;
    await daysPass(org, 7);
    await expect.poll(() => askedAbout(org)).toBe(1);
    await expect
      .poll(() =>
        service.sql(
          "select 1 from key_service.organizations where clerk_org_id = $1 and due_at > now() + interval '8 minutes'",
          [org],
        ),
      )
      .toHaveLength(1);
    expect(await stateOf(org)).toEqual({ ended: true, destroyed: false, due: 'later', data_keys: 1, secrets: 1 });
    clerk.behaviour = {};
    await service.sql('update key_service.organizations set due_at = now() where clerk_org_id = $1', [org]);
    await expect.poll(() => stateOf(org)).toEqual(DESTROYED);
  });

  it('lives again when Clerk, asked again, knows it: with its provider keys, without its API keys', async () => {
    const { org, key } = await deletedOrganization();
    clerk.members.set(org, ['user_fake']);
    await daysPass(org, 7);
    await expect.poll(() => stateOf(org)).toMatchObject({ ended: false, due: 'never', data_keys: 1, secrets: 1 });
    const reveal = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(reveal.body).toMatchObject({ key: 'sk-not-a-real-key', version: 1 });
    expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
    const { key: another } = await service.issueKey(org);
    for (const replica of replicas) expect((await replica.asHolder(another, '/validate')).status).toBe(200);
  });

  it('is asked about at once when Clerk tells of it as of one that lives, and is what Clerk then says', async () => {
    const { org } = await deletedOrganization();
    clerk.members.set(org, []);
    await sendEvent(service, 'organization.updated', { id: org });
    await expect.poll(() => stateOf(org)).toMatchObject({ ended: false, secrets: 1 });
  });

  it('keeps its days of grace when an event of its beginning comes after its end', async () => {
    const { org } = await deletedOrganization();
    await sendEvent(service, 'organization.created', { id: org });
    await expect.poll(() => askedAbout(org)).toBe(1);
    await expect.poll(() => stateOf(org)).toMatchObject({ due: 'when it may be destroyed' });
    expect(await stateOf(org)).toMatchObject({ ended: true, destroyed: false, data_keys: 1, secrets: 1 });
  });

  it('does not bring back what was deleted before it ended', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
    await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
    await organizationDeleted(service, org);
    clerk.members.set(org, []);
    await sendEvent(service, 'organization.updated', { id: org });
    await expect.poll(() => stateOf(org)).toMatchObject({ ended: false });
    expect((await service.asService('GET', `/internal/keys?clerkOrgId=${org}`)).body.keys).toEqual([]);
  });

  it('does not bring back what was deleted in its days of grace, and brings back the rest', async () => {
    const { org } = await deletedOrganization();
    const remove = () => service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
    const restored = newOrganization();
    for (const provider of ['openai', 'groq']) await service.saveProviderKey(restored, provider, 'sk-not-a-real-key');
    await organizationDeleted(service, restored);
    const removals = await Promise.all(
      Array.from({ length: 4 }, () => service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${restored}`)),
    );
    expect(removals.filter(({ body }) => body.deleted)).toHaveLength(1);
    expect(await stateOf(restored)).toMatchObject({ ended: true, secrets: 1 });
    clerk.members.set(restored, []);
    await sendEvent(service, 'organization.updated', { id: restored });
    await expect.poll(() => stateOf(restored)).toMatchObject({ ended: false, secrets: 1 });
    const { body } = await service.asService('GET', `/internal/keys?clerkOrgId=${restored}`);
    expect(body.keys).toMatchObject([{ provider: 'groq', version: 1 }]);
    const events = await listEvents(service, { clerkOrgId: restored, action: 'provider_key.removed' });
    expect(events.events).toMatchObject([{ provider: 'openai', details: { version: 1 } }]);

    // Deleted and destroyed, it is destroyed once.
    expect((await remove()).body).toMatchObject({ deleted: true });
    const ended = await service.asService('DELETE', `/internal/organizations/${org}`);
    expect(ended.body.destroyed).toMatchObject({ providerKeys: 0, secrets: 0, dataKeys: [expect.any(String)] });
    expect((await remove()).body).toMatchObject({ deleted: false });
  });

  it('can be destroyed the same day, where there are no days of grace, and never without a Clerk to ask', async () => {
    const hasty = await startService({ environment: { ...clerk.environment, ORGANIZATION_GRACE_DAYS: '0' } });
    const alone = await startService({ environment: { ORGANIZATION_GRACE_DAYS: '0' } });
    try {
      for (const [here, destroyed] of [
        [hasty, true],
        [alone, false],
      ] as const) {
        const org = newOrganization();
        await here.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
        await organizationDeleted(here, org);
        await expect
          .poll(() =>
            here.sql(
              'select destroyed_at is not null as destroyed, due_at is null or due_at > now() as looked_at from key_service.organizations where clerk_org_id = $1',
              [org],
            ),
          )
          .toEqual([{ destroyed, looked_at: true }]);
      }
    } finally {
      await hasty.stop();
      await alone.stop();
    }
  });
});
