import { expect } from 'vitest';
import type { Answer } from './client.ts';
import type { TestService } from './service.ts';
import { timed } from './stopwatch.ts';

/** Gives an organisation that has a key so many more, which nobody could open. */
export async function multiplySecrets(
  service: TestService,
  org: string,
  { providers, versions }: { providers: number; versions: number },
) {
  const owned = `key_service.provider_keys k join key_service.organizations o on o.id = k.organization_id and o.clerk_org_id = $1`;
  await service.sql(
    `insert into key_service.provider_keys (id, organization_id, provider, version)
     select gen_random_uuid(), o.id, 'provider-' || n, $3 from key_service.organizations o, generate_series(1, $2::int) n
     where o.clerk_org_id = $1`,
    [org, providers, versions],
  );
  await service.sql(
    `insert into key_service.provider_key_versions (provider_key_id, version, data_key_id, sealed)
     select k.id, n, d.id, '\\x00' from ${owned}
     join key_service.data_keys d on d.organization_id = o.id, generate_series(1, $2::int) n where k.provider like 'provider-%'`,
    [org, versions],
  );
}

/** Far more API keys than anyone issues by HTTP. */
export const issueMany = (where: TestService, org: string, keys: number) =>
  where.sql(
    `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
     select gen_random_uuid(), o.id, sha256(('fake ' || n || o.id)::bytea), 'ks_live_fake', 'fake', 'live'
     from key_service.organizations o, generate_series(1, $2) n where o.clerk_org_id = $1`,
    [org, keys],
  );

/** Asks until it is destroyed; every time the answer takes no longer than any other, and it ends in the end. */
export async function untilDestroyed(service: TestService, org: string): Promise<{ last: Answer; asked: number }> {
  for (let asked = 1; asked <= 50; asked += 1) {
    const { answer, tookMs } = await timed(() => service.asService('DELETE', `/internal/organizations/${org}`));
    expect(tookMs).toBeLessThan(2_000);
    if (answer.status !== 202) return { last: answer, asked };
    expect(answer.body).toEqual({
      clerkOrgId: org,
      endedAt: expect.stringMatching(/Z$/),
      destroyedAt: null,
      destroyed: null,
      message: 'The organisation has ended, and its secrets are being destroyed.',
    });
  }
  throw new Error('It is not destroyed, however often it is asked for');
}
