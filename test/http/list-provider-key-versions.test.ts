import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectInvalid } from '../support/problem.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const numbers = (body: { versions: { version: number }[] }) => body.versions.map(({ version }) => version);

describe('GET /internal/keys/:provider/versions', () => {
  describe('200', () => {
    it('shows every version that is kept, newest first and masked, and which one is current', async () => {
      const key = providerKeyHistory(service, newOrganization());
      await key.save('sk-a-not-a-real-secret-3f9Q');
      await key.save('sk-b-not-a-real-secret-7x2W');
      const { status, body } = await key.versions();
      const item = {
        status: 'unchecked',
        lastCheckedAt: null,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/),
      };
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          provider: 'openai',
          versions: [
            { version: 2, maskedKey: 'sk-b••••7x2W', current: true, ...item },
            { version: 1, maskedKey: 'sk-a••••3f9Q', current: false, ...item },
          ],
        },
      });
      const [second, first] = body.versions;
      expect(new Date(second.createdAt).getTime()).toBeGreaterThan(new Date(first.createdAt).getTime());
    });

    it('keeps ten versions, and no sealed byte of any older one', async () => {
      const key = providerKeyHistory(service, newOrganization());
      for (const n of range(1, 10)) await key.save(`not-a-real-secret-${n}`);
      expect(numbers((await key.versions()).body)).toEqual(range(1, 10).toReversed());
      const [oldest] = await key.sealed();
      await key.save('not-a-real-secret-11');
      expect(numbers((await key.versions()).body)).toEqual(range(2, 11).toReversed());
      const left = await key.sealed();
      expect(left.map(({ version }) => version)).toEqual(range(2, 11));
      expect(left.some(({ sealed }) => sealed.equals(oldest?.sealed ?? Buffer.alloc(0)))).toBe(false);
    });

    it('shows a version that does not open as unreadable, and the others as they are', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      for (const n of range(1, 3)) await key.save(`sk-not-a-real-secret-number-${n}`);
      await service.sql(
        `update key_service.provider_key_versions set sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1)
         where version = 2 and provider_key_id in (select k.id from key_service.provider_keys k
           join key_service.organizations o on o.id = k.organization_id where o.clerk_org_id = $1)`,
        [org],
      );
      const { status, body } = await key.versions();
      expect(status).toBe(200);
      expect(body.versions).toMatchObject([
        { version: 3, maskedKey: 'sk-n••••er-3', status: 'unchecked' },
        { version: 2, maskedKey: '••••••••', status: 'unreadable' },
        { version: 1, maskedKey: 'sk-n••••er-1', status: 'unchecked' },
      ]);
    });

    it('shows all of them when none can be decrypted any more', async () => {
      const org = newOrganization();
      const key = providerKeyHistory(service, org);
      for (const n of range(1, 2)) await key.save(`not-a-real-secret-${n}`);
      await service.sql(
        `update key_service.data_keys set wrapped = ''::bytea where organization_id =
         (select id from key_service.organizations where clerk_org_id = $1)`,
        [org],
      );
      const { status, body } = await key.versions();
      expect({ status, numbers: numbers(body) }).toEqual({ status: 200, numbers: [2, 1] });
      expect(body.versions.map((version: { status: string }) => version.status)).toEqual(['unreadable', 'unreadable']);
    });

    it('holds none of the secrets', async () => {
      const key = providerKeyHistory(service, newOrganization());
      await key.save('sk-a-not-a-real-secret-3f9Q');
      await key.save('short-secret');
      const { text } = await key.versions();
      expect(text).not.toContain('not-a-real-secret');
      expect(text).not.toContain('short-secret');
    });

    it('is empty for an organisation and a provider that are not known, a deleted key and one of another organisation', async () => {
      const org = newOrganization();
      const [deleted, theirs] = [
        providerKeyHistory(service, org, 'deleted'),
        providerKeyHistory(service, newOrganization()),
      ];
      await deleted.save('not-a-real-secret');
      await deleted.remove();
      await theirs.save('not-a-real-secret');
      const unknown = newOrganization();
      const histories = [deleted, providerKeyHistory(service, org), providerKeyHistory(service, unknown)];
      for (const history of histories) {
        const { status, body } = await history.versions();
        expect({ status, versions: body.versions }).toEqual({ status: 200, versions: [] });
      }
      const made = await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [unknown]);
      expect(made).toEqual([]);
    });
  });

  describe('400', () => {
    it.each([
      ['no clerkOrgId', '/internal/keys/openai/versions', '/clerkOrgId'],
      ['two clerkOrgIds', '/internal/keys/openai/versions?clerkOrgId=org_a&clerkOrgId=org_a', '/clerkOrgId'],
      ['a provider in upper case', '/internal/keys/OpenAI/versions?clerkOrgId=org_a', '/provider'],
    ])('refuses %s', async (_what, path, pointer) => {
      expectInvalid(await service.asService('GET', path), pointer);
    });
  });
});
