import { afterAll, beforeAll, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
/** Writes when keys were last used at its stop, and not before. */
let replica: TestService;
beforeAll(async () => {
  service = await startService();
  replica = await startService({ beside: service, environment: { ...service.environment, USAGE_FLUSH_MS: '600000' } });
});
afterAll(() => service.stop());

const issueServiceKey = async (name: string) =>
  (await service.asService('POST', '/internal/service-keys', { name, permissions: ['provider-keys:read'] })).body;

it('a key that was deleted with SQL keeps no other from being written as used', async () => {
  const org = newOrganization();
  const [kept, gone] = [await service.issueKey(org), await service.issueKey(org)];
  const [keptService, goneService] = [await issueServiceKey('kept'), await issueServiceKey('gone')];
  for (const provider of ['openai', 'groq']) await service.saveProviderKey(org, provider, 'not-a-real-secret');
  const since = Date.now();

  for (const { key } of [gone, kept]) expect((await replica.asHolder(key, '/validate')).status).toBe(200);
  for (const { key } of [goneService, keptService]) {
    const headers = { 'X-Service-Key': key };
    expect((await replica.request('GET', `/internal/keys?clerkOrgId=${org}`, { headers })).status).toBe(200);
  }
  for (const provider of ['groq', 'openai']) {
    const reveal = await replica.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);
    expect(reveal.status).toBe(200);
  }
  await service.sql('delete from key_service.api_keys where id = $1', [gone.id]);
  await service.sql('delete from key_service.service_keys where id = $1', [goneService.id]);
  await service.sql(`with destroyed as (
      delete from key_service.provider_key_versions v using key_service.provider_keys k
      where k.id = v.provider_key_id and k.provider = 'groq' returning v.provider_key_id
    ) select 1 from destroyed`);
  await service.sql("delete from key_service.provider_keys where provider = 'groq'");
  await replica.stop();

  const isNow = (lastUsedAt: string | null) => Date.parse(lastUsedAt ?? '') >= since - 1_000;
  const { body: apiKeys } = await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`);
  expect(apiKeys.keys.map((key: { id: string; lastUsedAt: string }) => [key.id, isNow(key.lastUsedAt)])).toEqual([
    [kept.id, true],
  ]);
  const { body: providerKeys } = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
  expect(
    providerKeys.keys.map((key: { provider: string; lastUsedAt: string }) => [key.provider, isNow(key.lastUsedAt)]),
  ).toEqual([['openai', true]]);
  const uses = await service.sql('select service_key_id as id from key_service.service_key_uses');
  expect(uses).toEqual([{ id: keptService.id }]);
  // Nothing of those that are gone is kept for another try.
  expect(replica.logLines.filter(({ msg }) => String(msg).startsWith('last-used times'))).toEqual([]);
});
