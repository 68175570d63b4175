import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Auditor, auditorOf, listEvents } from '../support/audit.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted } from '../support/webhooks.ts';

let clerk: ClerkStandIn;
let service: TestService;
let auditor: Auditor;
beforeAll(async () => {
  clerk = await startClerkStandIn();
  service = await startService({ environment: { ...clerk.environment, ORGANIZATION_GRACE_DAYS: '0' } });
  auditor = auditorOf(service);
});
afterAll(async () => {
  await auditor.close();
  await service.stop();
  await clerk.close();
});

const endsOf = async (clerkOrgId: string) => {
  const { events } = await listEvents(service, { clerkOrgId, limit: '100' });
  return events
    .filter(({ action }) => action.startsWith('organization.'))
    .map(({ action, actor, target }) => [action, actor.kind, actor.name, target.type])
    .reverse();
};

/** An organisation with a secret, which Clerk has just called deleted, twice. */
async function deletedOrganization(): Promise<string> {
  const org = newOrganization();
  await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
  for (let time = 0; time < 2; time += 1) await organizationDeleted(service, org);
  return org;
}

describe('The audit of an organisation that Clerk has deleted', () => {
  it('says once that it ended, and once what was destroyed, in a chain that still verifies without its data key', async () => {
    const org = await deletedOrganization();
    await expect
      .poll(() => endsOf(org))
      .toEqual([
        ['organization.ended', 'system', 'clerk-webhook', 'organization'],
        ['organization.destroyed', 'system', 'ended-organizations', 'organization'],
      ]);
    const { events } = await listEvents(service, { clerkOrgId: org, action: 'organization.destroyed' });
    const { body } = await service.asService('DELETE', `/internal/organizations/${org}`);
    const { endedAt, destroyedAt, destroyed } = body;
    expect(events[0]?.details).toEqual({ endedAt, destroyedAt, ...destroyed });
    expect(destroyed).toMatchObject({ providerKeys: 1, secrets: 1, dataKeys: [expect.any(String)] });
    expect(await auditor.faults()).toEqual([]);
  });

  it('says that it lives again when Clerk knows it after all', async () => {
    clerk.behaviour = { status: 500 };
    const org = await deletedOrganization();
    clerk.members.set(org, ['user_fake']);
    clerk.behaviour = {};
    await service.sql('update key_service.organizations set due_at = now() where due_at is not null');
    await expect
      .poll(() => endsOf(org))
      .toEqual([
        ['organization.ended', 'system', 'clerk-webhook', 'organization'],
        ['organization.restored', 'system', 'ended-organizations', 'organization'],
      ]);
    expect(await auditor.faults()).toEqual([]);
  });
});
