import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem, wholeAnswer } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const get = (id: string, org: string) =>
  service.request('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`, {
    headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'one-id' },
  });

describe('GET /internal/api-keys/:id', () => {
  describe('200', () => {
    it('answers the item as the list shows it, with updatedAt, its revision and the revision as ETag', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org, { name: 'CI', scopes: ['read:orders'] });
      const { status, body, text, headers } = await get(id, org);
      const [item] = (await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`)).body.keys;
      expect(status).toBe(200);
      expect(body).toEqual({ ...item, updatedAt: item.createdAt, revision: 1 });
      expect(headers.get('etag')).toBe('"1"');
      expect(text).not.toContain(key.slice(12, -4));
    });

    it('raises revision, ETag and updatedAt with a change', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      const before = await get(id, org);
      await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      const { body, headers } = await get(id, org);
      expect(body).toMatchObject({ status: 'revoked', revision: 2, revokedAt: body.updatedAt });
      expect(headers.get('etag')).toBe('"2"');
      expect(body.updatedAt > before.body.updatedAt).toBe(true);
    });

    it('still answers a revoked key, for whoever has to know what it was', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org, { name: 'leaked' });
      await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      expect((await get(id, org)).body).toMatchObject({ id, name: 'leaked', status: 'revoked' });
    });

    it('takes the id in upper case too', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      expect((await get(id.toUpperCase(), org)).body.id).toBe(id);
    });

    it('answers HEAD with the ETag and no body', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      const { status, headers, text } = await service.asService('HEAD', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      expect({ status, etag: headers.get('etag'), text }).toEqual({ status: 200, etag: '"1"', text: '' });
    });

    it('is answered in full whatever If-None-Match says: nothing here is kept by anyone', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      const headers = { 'X-Service-Key': SERVICE_KEY, 'If-None-Match': '"1"' };
      const answer = await service.request('GET', `/internal/api-keys/${id}?clerkOrgId=${org}`, { headers });
      expect({ status: answer.status, id: answer.body?.id }).toEqual({ status: 200, id });
    });
  });

  describe('400', () => {
    it.each([
      ['missing', ''],
      ['empty', '?clerkOrgId='],
      ['sent twice', '?clerkOrgId=org_a&clerkOrgId=org_a'],
      ['broken by white space', '?clerkOrgId=org%20a'],
    ])('refuses a clerkOrgId that is %s', async (_what, query) => {
      const { id } = await service.issueKey(newOrganization());
      expectInvalid(await service.asService('GET', `/internal/api-keys/${id}${query}`), '/clerkOrgId');
    });
  });

  describe('404', () => {
    it("is one answer, byte for byte, for an unknown id, another organisation's, a malformed one and an unknown organisation", async () => {
      const [org, other] = [newOrganization(), newOrganization()];
      const { id } = await service.issueKey(org);
      const theirs = await service.issueKey(other);
      const answers = [
        await get('01890000-0000-7000-8000-000000000000', org),
        await get(theirs.id, org),
        await get('not-a-uuid', org),
        await get('00000000-0000-0000-0000-000000000000', org),
        await get(`${id}0`, org),
        await get(`%7B${id}%7D`, org),
        await get(id.replaceAll('-', ''), org),
        await get("'%20or%20true--", org),
        await get('é'.repeat(200), org),
        await get(id, newOrganization()),
      ];
      for (const answer of answers) expectProblem(answer, 404, 'api_key_not_found');
      const [first, ...others] = answers.map(wholeAnswer);
      for (const answer of others) expect(answer).toEqual(first);
    });
  });
});
