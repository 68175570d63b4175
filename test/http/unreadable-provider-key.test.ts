import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';
const OTHER_SECRET = 'sk-another-not-real-secret-98765-x1Y2';

let service: TestService;
beforeAll(async () => {
  service = await startService({ environment: { METRICS_PORT: '0' } });
});
afterAll(() => service.stop());

interface StoredKey extends Record<string, unknown> {
  id: string;
  sealed: Buffer;
  data_key_id: string;
}

async function stored(org: string, provider: string): Promise<StoredKey> {
  const [row] = await service.sql<StoredKey>(
    `select provider_keys.id, sealed, data_key_id from key_service.provider_keys
     join key_service.provider_key_versions on provider_key_id = provider_keys.id
     join key_service.organizations on organizations.id = organization_id
     where clerk_org_id = $1 and provider = $2`,
    [org, provider],
  );
  if (row === undefined) throw new Error('Nothing is stored');
  return row;
}

const changeSealed = (row: StoredKey, expression: string) =>
  service.sql(`update key_service.provider_key_versions set sealed = ${expression} where provider_key_id = $1`, [
    row.id,
  ]);
const moveSealed = (from: StoredKey, to: StoredKey) =>
  service.sql('update key_service.provider_key_versions set sealed = $2, data_key_id = $3 where provider_key_id = $1', [
    to.id,
    from.sealed,
    from.data_key_id,
  ]);
const changeDataKey = (row: StoredKey, change: string) =>
  service.sql(`update key_service.data_keys set ${change} where id = $1`, [row.data_key_id]);
const flip = (column: string, byte: string) => `set_byte(${column}, ${byte}, get_byte(${column}, ${byte}) # 1)`;

async function unreadableSecretsCounted(): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${service.metricsPort}/metrics`)).text();
  return Number(/^key_service_unreadable_secrets_total (\d+)$/m.exec(metrics)?.[1]);
}

/** An organisation with keys for openai and anthropic, and another with one for openai. */
async function twoOrganizations() {
  const [org, otherOrg] = [newOrganization(), newOrganization()];
  await service.saveProviderKey(org, 'openai', SECRET);
  await service.saveProviderKey(org, 'anthropic', OTHER_SECRET);
  await service.saveProviderKey(otherOrg, 'openai', OTHER_SECRET);
  const { key } = await service.issueKey(org);
  return { org, otherOrg, key };
}

/** Each breaks the first organisation's key for openai. */
const DAMAGES: [what: string, damage: (row: StoredKey, orgs: { org: string; otherOrg: string }) => Promise<unknown>][] =
  [
    ['whose ciphertext was altered', (row) => changeSealed(row, flip('sealed', 'octet_length(sealed) - 1'))],
    ['whose tag was altered', (row) => changeSealed(row, flip('sealed', '29'))],
    ['whose IV was altered', (row) => changeSealed(row, flip('sealed', '17'))],
    ['whose data key id was altered', (row) => changeSealed(row, flip('sealed', '5'))],
    ['of an unknown format version', (row) => changeSealed(row, 'set_byte(sealed, 0, 2)')],
    ['that was cut short', (row) => changeSealed(row, 'substring(sealed from 1 for 20)')],
    ['whose last byte is missing', (row) => changeSealed(row, 'substring(sealed from 1 for octet_length(sealed) - 1)')],
    ['that was emptied', (row) => changeSealed(row, `''::bytea`)],
    ["that is another provider's", async (row, { org }) => moveSealed(await stored(org, 'anthropic'), row)],
    ["that is another organisation's", async (row, { otherOrg }) => moveSealed(await stored(otherOrg, 'openai'), row)],
    [
      'of another version',
      async ({ id }) => {
        await service.sql('update key_service.provider_key_versions set version = 2 where provider_key_id = $1', [id]);
        await service.sql('update key_service.provider_keys set version = 2 where id = $1', [id]);
      },
    ],
    [
      'whose row was renamed to another provider',
      async ({ id }) => {
        await service.sql(`update key_service.provider_keys set provider = 'gone-' || provider where id = $1`, [id]);
        await service.sql(
          `update key_service.provider_keys set provider = 'openai' where provider = 'anthropic' and organization_id =
         (select organization_id from key_service.provider_keys where id = $1)`,
          [id],
        );
      },
    ],
    [
      'whose data key was altered',
      (row) => changeDataKey(row, `wrapped = ${flip('wrapped', 'octet_length(wrapped) - 1')}`),
    ],
    ['whose data key was emptied', (row) => changeDataKey(row, `wrapped = ''::bytea`)],
    ['whose data key names another master key', (row) => changeDataKey(row, `master_key_id = 'nobodys'`)],
  ];

describe('a stored provider key', () => {
  describe.each(DAMAGES)('%s', (_what, damage) => {
    it('500: is answered to nobody, in no part, and listed as unreadable', async () => {
      const { org, otherOrg, key } = await twoOrganizations();
      const row = await stored(org, 'openai');
      await damage(row, { org, otherOrg });
      const answers = [
        await service.asHolder(key, '/validate/keys/openai'),
        await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`),
      ];
      for (const answer of answers) {
        expectProblem(answer, 500, 'provider_key_unreadable');
        for (const secret of [SECRET, OTHER_SECRET, row.sealed.toString('hex'), row.sealed.toString('base64')]) {
          expect(answer.text).not.toContain(secret);
        }
      }
      const list = await service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      expect(list.status).toBe(200);
      const listed = list.body.keys.find(({ provider }: { provider: string }) => provider === 'openai');
      expect(listed).toMatchObject({ maskedKey: '••••••••', status: 'unreadable' });
      expect((await service.asHolder(key, '/validate')).status).toBe(200);
      const other = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${otherOrg}`);
      expect(other.body.key).toBe(OTHER_SECRET);
    });
  });

  it('that does not open is logged with the request id, counted, and logged without its content', async () => {
    const { org, key } = await twoOrganizations();
    const row = await stored(org, 'openai');
    await changeSealed(row, flip('sealed', '50'));
    const before = await unreadableSecretsCounted();
    const requestId = `unreadable-${org}`;
    await service.request('GET', '/validate/keys/openai', {
      headers: { Authorization: `Bearer ${key}`, 'X-Request-Id': requestId },
    });
    expect(await unreadableSecretsCounted()).toBe(before + 1);
    const lines = await vi.waitFor(() => {
      const found = service.logLines.filter((line) => line['requestId'] === requestId);
      expect(found).toHaveLength(2);
      return found;
    });
    expect(lines[0]).toMatchObject({ level: 'error', msg: 'a stored provider key does not open', rowId: row.id });
    expect(lines[1]).toMatchObject({ level: 'error', status: 500, error: { code: 'provider_key_unreadable' } });
    const text = JSON.stringify(lines);
    for (const secret of [SECRET, key, row.sealed.toString('hex'), row.sealed.toString('base64')]) {
      expect(text).not.toContain(secret);
    }
  });

  it('that does not open leaves the others of its organisation readable', async () => {
    const { org } = await twoOrganizations();
    await changeSealed(await stored(org, 'openai'), `''::bytea`);
    const { body } = await service.asService('GET', `/internal/keys/anthropic/decrypt?clerkOrgId=${org}`);
    expect(body.key).toBe(OTHER_SECRET);
  });

  it('that does not open is mended by saving it again, with the same value too', async () => {
    const { org } = await twoOrganizations();
    await changeSealed(await stored(org, 'openai'), flip('sealed', '50'));
    const saved = await service.saveProviderKey(org, 'openai', SECRET);
    expect({ status: saved.status, version: saved.body.version }).toEqual({ status: 200, version: 2 });
    const { body } = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
    expect(body).toMatchObject({ key: SECRET, version: 2 });
  });

  it('that does not open can be deleted', async () => {
    const { org } = await twoOrganizations();
    await changeSealed(await stored(org, 'openai'), `''::bytea`);
    const { body } = await service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
    expect(body.deleted).toBe(true);
  });
});
