import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { productionEnvironment, startBuiltService } from '../support/built-service.ts';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { execute } from '../support/database-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { organizationDeleted, SIGNING_SECRET } from '../support/webhooks.ts';

let database: TestDatabase;
let clerk: ClerkStandIn;
beforeAll(async () => {
  [database, clerk] = await Promise.all([createTestDatabase(), startClerkStandIn()]);
});
afterAll(async () => {
  await clerk.close();
  await database.drop();
});

const stateOf = (org: string) =>
  execute<Record<string, unknown>>(
    database.url,
    `select destroyed_at is not null as destroyed, due_at > now() as taken,
       (select count(*)::int from key_service.data_keys d where d.organization_id = o.id) as data_keys
     from key_service.organizations o where clerk_org_id = $1`,
    [org],
  );

describe('a replica that is killed while it asks Clerk about an organisation that has ended', () => {
  it('has destroyed nothing, and the next one does when the time it had taken is over', async () => {
    const environment = {
      ...productionEnvironment(database.url),
      ...clerk.environment,
      CLERK_TIMEOUT_MS: '30000',
      CLERK_WEBHOOK_SIGNING_SECRET: SIGNING_SECRET,
      ORGANIZATION_GRACE_DAYS: '0',
      ORGANIZATION_SWEEP_MS: '50',
    };
    clerk.behaviour = { hang: true };
    const killed = await startBuiltService(environment);
    const org = newOrganization();
    await killed.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
    expect((await organizationDeleted(killed, org)).status).toBe(200);
    await expect.poll(() => clerk.requests.length, { timeout: 10_000 }).toBe(1);
    await killed.end('SIGKILL');
    expect(await stateOf(org)).toEqual([{ destroyed: false, taken: true, data_keys: 1 }]);

    clerk.behaviour = {};
    const next = await startBuiltService(environment);
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await stateOf(org)).toEqual([{ destroyed: false, taken: true, data_keys: 1 }]);
      // Two minutes later.
      await execute(database.url, "update key_service.organizations set due_at = due_at - interval '2 minutes'");
      await expect.poll(() => stateOf(org)).toEqual([{ destroyed: true, taken: null, data_keys: 0 }]);
    } finally {
      await next.end();
    }
  }, 60_000);
});
