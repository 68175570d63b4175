import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { KMS_KEY, type KmsStandIn, startKmsStandIn } from '../support/kms-stand-in.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret';

let kms: KmsStandIn;
const replicas: TestService[] = [];
let service: TestService;
beforeAll(async () => {
  kms = await startKmsStandIn();
  for (const [name, value] of Object.entries(kms.environment)) vi.stubEnv(name, value);
  const environment = { ENCRYPTION_KEY: `aws-kms://${KMS_KEY}` };
  service = await startService({ environment });
  replicas.push(service, await startService({ beside: service, environment }));
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
  await kms.close();
  vi.unstubAllEnvs();
});

const TABLES = ['data_keys', 'provider_key_versions'] as const;
const reveal = (org: string, replica: TestService) =>
  replica.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);

describe('the data key of an organisation that was destroyed', () => {
  it('is in the memory of no replica, even for one who brings back every row of a backup', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', SECRET);
    for (const replica of replicas) expect((await reveal(org, replica)).body.key).toBe(SECRET);
    // Without a KMS it opens what a replica has in memory, and nothing else.
    kms.behaviour = { down: true };
    for (const replica of replicas) expect((await reveal(org, replica)).body.key).toBe(SECRET);

    for (const table of TABLES) await service.sql(`create table backup_of_${table} as table key_service.${table}`);
    expect((await service.asService('DELETE', `/internal/organizations/${org}`)).status).toBe(200);
    await service.sql('update key_service.organizations set ended_at = null, destroyed_at = null, destroyed = null');
    for (const table of TABLES) {
      await service.sql(`insert into key_service.${table} select * from backup_of_${table} on conflict do nothing`);
    }
    await service.sql('update key_service.provider_keys set deleted_at = null');

    for (const replica of replicas) {
      await expect.poll(async () => (await reveal(org, replica)).status).toBe(503);
      expectProblem(await reveal(org, replica), 503, 'encryption_unavailable');
    }
    kms.behaviour = {};
    for (const replica of replicas) await expect.poll(async () => (await reveal(org, replica)).body.key).toBe(SECRET);
  });
});
