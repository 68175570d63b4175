import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, listEvents } from '../support/audit.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { issueMany, multiplySecrets, untilDestroyed } from '../support/large-organization.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted, sendEvent } from '../support/webhooks.ts';

let clerk: ClerkStandIn;
let service: TestService;
/** Goes on with what the other has begun. */
let sweeping: TestService;
let auditor: Auditor;
beforeAll(async () => {
  clerk = await startClerkStandIn();
  const unswept = { ...clerk.environment, ORGANIZATION_SWEEP_MS: '3600000' };
  service = await startService({ environment: unswept });
  sweeping = await startService({ beside: service, environment: { ...unswept, ORGANIZATION_SWEEP_MS: '50' } });
  auditor = auditorOf(service);
});
afterAll(async () => {
  await auditor.close();
  await sweeping.stop();
  await service.stop();
  await clerk.close();
});

async function organization(size: { providers: number; versions: number }): Promise<string> {
  const org = newOrganization();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
  await multiplySecrets(service, org, size);
  return org;
}
const destroy = (org: string) => service.asService('DELETE', `/internal/organizations/${org}`);
const endsOf = async (clerkOrgId: string) => {
  const { events } = await listEvents(service, { clerkOrgId, limit: '100' });
  return events.filter(({ action }) => action.startsWith('organization.')).reverse();
};
const rowOf = async (org: string) => {
  const [row] = await service.sql<{
    ended: boolean;
    destroyed: boolean;
    destruction: { secrets: number } | null;
    secrets: number;
  }>(
    `select ended_at is not null as ended, destroyed_at is not null as destroyed, destruction,
       (select count(*)::int from key_service.provider_key_versions v
         join key_service.provider_keys k on k.id = v.provider_key_id where k.organization_id = o.id) as secrets
     from key_service.organizations o where clerk_org_id = $1`,
    [org],
  );
  return row;
};
/** From here on the secrets of one key cannot be destroyed, the last that is come to. */
async function holdLast(org: string): Promise<void> {
  const [last] = await service.sql<{ id: string }>(
    `select k.id from key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id
     where o.clerk_org_id = $1 order by k.id desc limit 1`,
    [org],
  );
  await service.sql(`create function key_service.out_of_order() returns trigger language plpgsql as
    $$ begin raise exception 'not now' using errcode = '53000'; end $$`);
  await service.sql(`create trigger out_of_order before delete on key_service.provider_key_versions
    for each row when (old.provider_key_id = '${last?.id}') execute function key_service.out_of_order()`);
}
const letGo = () => service.sql('drop function key_service.out_of_order cascade');

describe('An organisation with more than one transaction can destroy', () => {
  it('is destroyed in several, with one receipt that counts all of it', async () => {
    const org = await organization({ providers: 4_000, versions: 10 });
    await issueMany(service, org, 11_000);
    await service.sql(
      `insert into key_service.provider_key_sources (organization_id, provider, source)
       select o.id, 'provider-' || n, 'platform' from key_service.organizations o, generate_series(1, 1200) n
       where o.clerk_org_id = $1`,
      [org],
    );
    const { last } = await untilDestroyed(service, org);
    expect(last.status).toBe(200);
    const { endedAt, destroyedAt, destroyed } = last.body;
    expect(destroyed).toEqual({
      apiKeys: 11_000,
      providerKeys: 4_001,
      secrets: 40_001,
      dataKeys: [expect.any(String)],
    });
    expect(await rowOf(org)).toEqual({ ended: true, destroyed: true, destruction: null, secrets: 0 });
    const left = await service.sql(
      `select (select count(*)::int from key_service.provider_key_sources s where s.organization_id = o.id) as sources,
         (select count(*)::int from key_service.data_keys d where d.organization_id = o.id) as data_keys,
         (select count(*)::int from key_service.api_keys k
           where k.organization_id = o.id and k.revoked_at is null) as good
       from key_service.organizations o where clerk_org_id = $1`,
      [org],
    );
    expect(left).toEqual([{ sources: 0, data_keys: 0, good: 0 }]);
    const events = await endsOf(org);
    expect(events.map(({ action, actor }) => [action, actor.name])).toEqual([
      ['organization.ended', 'root'],
      ['organization.destruction_begun', 'root'],
      ['organization.destroyed', 'root'],
    ]);
    expect(events.at(-1)?.details).toEqual({ endedAt, destroyedAt, ...destroyed });
    expect((await destroy(org)).body).toEqual(last.body);
    expect(await auditor.faults()).toEqual([]);
  });

  it('keeps what was done when it is interrupted, does not live again, and is finished by any replica', async () => {
    const org = await organization({ providers: 1_300, versions: 3 });
    await holdLast(org);
    try {
      expectProblem(await destroy(org), 503, 'database_unavailable');
      const row = await rowOf(org);
      expect(row).toMatchObject({ ended: true, destroyed: false, destruction: { providerKeys: 1_000 } });
      expect((row?.secrets ?? 0) + (row?.destruction?.secrets ?? 0)).toBe(3_901);

      // Nobody brings it back any more, neither Clerk's word …
      clerk.members.set(org, ['user_fake']);
      await sendEvent(service, 'organization.updated', { id: org });
      await expect
        .poll(() => sweeping.logLines.filter(({ msg }) => String(msg).startsWith('ended organisations could not')))
        .not.toEqual([]);
      // … nor a version of the service that does not know that it has begun.
      const revive = service.sql(
        'update key_service.organizations set ended_at = null, destroy_after = null, due_at = null where clerk_org_id = $1',
        [org],
      );
      await expect(revive).rejects.toMatchObject({ code: '23514' });
      expect(await rowOf(org)).toMatchObject({ ended: true, destroyed: false });
    } finally {
      await letGo();
    }
    await service.sql('update key_service.organizations set due_at = now() where clerk_org_id = $1', [org]);
    await expect.poll(() => rowOf(org)).toEqual({ ended: true, destroyed: true, destruction: null, secrets: 0 });
    expect((await destroy(org)).body.destroyed).toMatchObject({ providerKeys: 1_301, secrets: 3_901 });
    expect((await endsOf(org)).map(({ action, actor }) => [action, actor.kind])).toEqual([
      ['organization.ended', 'service'],
      ['organization.destruction_begun', 'service'],
      ['organization.destroyed', 'system'],
    ]);
    expect(await auditor.faults()).toEqual([]);
  });

  it('is destroyed once when many ask for it at the same time, and replicas go on with it meanwhile', async () => {
    const org = await organization({ providers: 2_000, versions: 4 });
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, n) => (n % 2 === 0 ? service : sweeping)).map((replica) =>
        untilDestroyed(replica, org),
      ),
    );
    for (const { last } of answers) expect(last.body).toEqual(answers[0]?.last.body);
    expect(answers[0]?.last.body.destroyed).toMatchObject({ providerKeys: 2_001, secrets: 8_001 });
    expect((await endsOf(org)).map(({ action }) => action)).toEqual([
      'organization.ended',
      'organization.destruction_begun',
      'organization.destroyed',
    ]);
  });

  it('is destroyed by the sweep alone when Clerk has deleted it', async () => {
    const org = await organization({ providers: 1_200, versions: 2 });
    await organizationDeleted(service, org);
    await service.sql(
      'update key_service.organizations set destroy_after = now(), due_at = now() where clerk_org_id = $1',
      [org],
    );
    await expect
      .poll(() => rowOf(org), { timeout: 5_000 })
      .toEqual({ ended: true, destroyed: true, destruction: null, secrets: 0 });
    expect((await destroy(org)).body.destroyed).toMatchObject({ providerKeys: 1_201, secrets: 2_401 });
  });
});
