import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, newOrganization } from '../support/client.ts';
import { providerKeyHistory, range } from '../support/provider-key-history.ts';
import { startService, type TestService } from '../support/service.ts';

const MANY = 50;

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** Starts this many at once. */
const atOnce = (start: (n: number) => Promise<Answer>) => Promise.all(Array.from({ length: MANY }, (_, n) => start(n)));
const statusesOf = (answers: Answer[]) => [...new Set(answers.map(({ status }) => status))].toSorted();
const reveal = (org: string, provider: string) =>
  service.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);

async function count(table: string, org: string): Promise<number> {
  const ofOrganization: Record<string, string> = {
    organizations: 'id',
    api_keys: 'organization_id',
    provider_keys: 'organization_id',
    data_keys: 'organization_id',
    provider_key_versions: '(select organization_id from key_service.provider_keys k where k.id = provider_key_id)',
  };
  const [row] = await service.sql<{ count: number }>(
    `select count(*)::int from key_service.${table}
     where ${ofOrganization[table]} = (select id from key_service.organizations where clerk_org_id = $1)`,
    [org],
  );
  return row?.count ?? 0;
}

describe('50 requests at once', () => {
  it('that are the first of an organisation make one organisation and 50 good keys', async () => {
    const org = newOrganization();
    const answers = await atOnce(() => service.asService('POST', '/internal/api-keys', { clerkOrgId: org }));
    expect(statusesOf(answers)).toEqual([201]);
    expect(await count('organizations', org)).toBe(1);
    expect(await count('api_keys', org)).toBe(MANY);
    const validations = await Promise.all(answers.map(({ body }) => service.asHolder(body.key, '/validate')));
    expect(statusesOf(validations)).toEqual([200]);
    expect(new Set(validations.map(({ body }) => body.orgId)).size).toBe(1);
  });

  it('that save one provider with 50 values leave one row, its newest ten versions and one current secret of the 50', async () => {
    const org = newOrganization();
    const values = Array.from({ length: MANY }, (_, n) => `not-a-real-secret-number-${n}`);
    const answers = await atOnce((n) => service.saveProviderKey(org, 'openai', String(values[n])));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(MANY - 1).fill(200), 201]);
    expect(answers.map(({ body }) => body.version).toSorted((a, b) => a - b)).toEqual(values.map((_, n) => n + 1));
    const { status, body } = await reveal(org, 'openai');
    const last = answers.findIndex((answer) => answer.body.version === MANY);
    expect({ status, key: body.key, version: body.version }).toEqual({ status: 200, key: values[last], version: MANY });
    expect(await count('provider_keys', org)).toBe(1);
    expect(await count('provider_key_versions', org)).toBe(10);
    expect(await count('data_keys', org)).toBe(1);
  });

  it('that save one provider with one value write it once', async () => {
    const org = newOrganization();
    const answers = await atOnce(() => service.saveProviderKey(org, 'openai', 'not-a-real-secret'));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(MANY - 1).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => body.version))).toEqual(new Set([1]));
    expect((await reveal(org, 'openai')).body).toMatchObject({ key: 'not-a-real-secret', version: 1 });
    expect(await count('provider_key_versions', org)).toBe(1);
  });

  it('that save 50 providers of a new organisation make one data key, which opens all of them', async () => {
    const org = newOrganization();
    const answers = await atOnce((n) => service.saveProviderKey(org, `provider-${n}`, `not-a-real-secret-${n}`));
    expect(statusesOf(answers)).toEqual([201]);
    expect(await count('organizations', org)).toBe(1);
    expect(await count('data_keys', org)).toBe(1);
    expect(await count('provider_keys', org)).toBe(MANY);
    const revealed = await atOnce((n) => reveal(org, `provider-${n}`));
    expect(revealed.map(({ body }) => body.key)).toEqual(answers.map((_, n) => `not-a-real-secret-${n}`));
  });

  it('that issue keys and save secrets for a new organisation agree on its row', async () => {
    const org = newOrganization();
    const answers = await atOnce((n) =>
      n % 2 === 0
        ? service.asService('POST', '/internal/api-keys', { clerkOrgId: org })
        : service.saveProviderKey(org, `provider-${n}`, 'not-a-real-secret'),
    );
    expect(statusesOf(answers)).toEqual([201]);
    expect(await count('organizations', org)).toBe(1);
    expect(await count('data_keys', org)).toBe(1);
  });

  it('that save, delete, list and reveal one provider each have an answer that was true', async () => {
    const org = newOrganization();
    await service.saveProviderKey(org, 'openai', 'not-a-real-secret-before');
    const saved = new Set(['not-a-real-secret-before']);
    const answers = await atOnce((n) => {
      if (n % 4 === 0) return service.asService('DELETE', `/internal/keys/openai?clerkOrgId=${org}`);
      if (n % 4 === 1) return service.asService('GET', `/internal/keys?clerkOrgId=${org}`);
      if (n % 4 === 2) return reveal(org, 'openai');
      saved.add(`not-a-real-secret-${n}`);
      return service.saveProviderKey(org, 'openai', `not-a-real-secret-${n}`);
    });
    for (const [n, { status, body }] of answers.entries()) {
      if (n % 4 === 2) {
        expect([200, 404]).toContain(status);
        if (status === 200) expect(saved).toContain(body.key);
      } else {
        expect([200, 201]).toContain(status);
        if (n % 4 === 1) expect(body.keys.map((key: { status: string }) => key.status)).not.toContain('unreadable');
      }
    }
    const versions = answers.filter((_, n) => n % 4 === 3).map(({ body }) => body.version);
    expect(new Set(versions).size).toBe(versions.length);
    expect(await count('provider_keys', org)).toBe(1);
    expect(await count('provider_key_versions', org)).toBeLessThanOrEqual(10);
  });

  it('that save, roll back and delete one key give no number to two secrets, and keep at most ten versions', async () => {
    const org = newOrganization();
    const key = providerKeyHistory(service, org);
    // Told apart by what their masks show.
    const secretOf = (n: number) => `sk-a-not-a-real-secret-${String(n).padStart(4, '0')}`;
    for (const n of range(1, 5)) await key.save(secretOf(n));
    let most = 0;
    let over = false;
    const watch = (async () => {
      while (!over) most = Math.max(most, (await key.sealed()).length);
    })();
    const answers = await atOnce((n) => {
      if (n % 5 === 0) return key.remove();
      return n % 2 === 0 ? key.save(secretOf(100 + n)) : key.rollback((n % 5) + 1);
    });
    over = true;
    await watch;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(10);
    const masks = new Map<number, string>();
    for (const [n, answer] of answers.entries()) {
      if (n % 5 === 0) expect(answer.status).toBe(200);
      else if (n % 2 === 0) expect([200, 201]).toContain(answer.status);
      else expect([200, 404]).toContain(answer.status);
      const { version, maskedKey } = answer.body;
      if (maskedKey === undefined) continue;
      expect(masks.get(version) ?? maskedKey).toBe(maskedKey);
      masks.set(version, maskedKey);
    }
    await key.save(secretOf(999));
    const listed = (await key.versions()).body.versions;
    for (const { version, maskedKey, status } of listed) {
      expect(status).toBe('unchecked');
      expect(masks.get(version) ?? maskedKey).toBe(maskedKey);
    }
    expect((await key.reveal()).body).toMatchObject({ key: secretOf(999), version: listed[0].version });
    expect(Math.max(...masks.keys())).toBeLessThan(listed[0].version);
    expect(await count('provider_keys', org)).toBe(1);
  });

  it('that revoke one key all succeed, and count as one change', async () => {
    const org = newOrganization();
    const { id } = await service.issueKey(org);
    const answers = await atOnce(() => service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`));
    expect(statusesOf(answers)).toEqual([200]);
    const { body } = await service.asService('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expect(body).toMatchObject({ status: 'revoked', revision: 2 });
  });

  it('that validate while the key is revoked refuse it from the moment that the revocation was answered', async () => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    let revoked = false;
    const revocation = service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`).then(() => {
      revoked = true;
    });
    const seen = { before: 0, after: [] as number[] };
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        // Each goes on until it has asked a few times after the revocation was answered.
        for (let askedAfter = 0; askedAfter < 5; ) {
          const startedAfter = revoked;
          const { status } = await service.asHolder(key, '/validate');
          expect([200, 401]).toContain(status);
          if (startedAfter) seen.after.push(status);
          else seen.before += 1;
          askedAfter += startedAfter ? 1 : 0;
        }
      }),
    );
    await revocation;
    expect(seen.before).toBeGreaterThan(0);
    expect(seen.after).toEqual(Array(40).fill(401));
    expect(statusesOf(await atOnce(() => service.asHolder(key, '/validate')))).toEqual([401]);
  });
});
