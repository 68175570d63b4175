import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem, wholeAnswer } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const revoke = (id: string, query: string, body?: unknown) =>
  service.request('DELETE', `/internal/api-keys/${id}${query}`, {
    body,
    headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'one-id' },
  });
const stillGood = async (key: string) => (await service.asHolder(key, '/validate')).status === 200;

describe('DELETE /internal/api-keys/:id', () => {
  describe('200', () => {
    it.each<[where: string, query: (org: string) => string, body: (org: string) => unknown]>([
      ['in the query', (org) => `?clerkOrgId=${org}`, () => undefined],
      ['in a JSON body, as existing callers send it', () => '', (clerkOrgId) => ({ clerkOrgId })],
      ['in both, when they are the same', (org) => `?clerkOrgId=${org}`, (clerkOrgId) => ({ clerkOrgId })],
      ['in the query, beside an empty body', (org) => `?clerkOrgId=${org}`, () => ({})],
    ])('revokes the key of the organisation that is named %s', async (_where, query, body) => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org);
      const answer = await revoke(id, query(org), body(org));
      expect({ status: answer.status, body: answer.body }).toEqual({
        status: 200,
        body: { message: expect.stringMatching(/\S/) },
      });
      expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
    });

    it('is the answer again, and changes nothing again', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      const rows = () => service.sql('select *, xmin::text from key_service.api_keys where id = $1', [id]);
      const first = await revoke(id, `?clerkOrgId=${org}`);
      const [before] = await rows();
      const second = await revoke(id, `?clerkOrgId=${org}`);
      const [after] = await rows();
      expect(wholeAnswer(second)).toEqual(wholeAnswer(first));
      for (const column of ['revoked_at', 'updated_at', 'revision']) {
        expect(before?.[column], column).not.toBeNull();
        expect(after?.[column], column).toEqual(before?.[column]);
      }
    });

    it('keeps the row, and every other key of the organisation', async () => {
      const org = newOrganization();
      const [gone, kept] = [await service.issueKey(org), await service.issueKey(org)];
      await revoke(gone.id, `?clerkOrgId=${org}`);
      const rows = await service.sql(
        'select id, revoked_at is not null as revoked from key_service.api_keys where id = any($1) order by created_at, id',
        [[gone.id, kept.id]],
      );
      expect(rows).toEqual([
        { id: gone.id, revoked: true },
        { id: kept.id, revoked: false },
      ]);
      expect(await stillGood(kept.key)).toBe(true);
    });
  });

  describe('400', () => {
    it.each<[what: string, query: string, body: unknown]>([
      ['is named nowhere', '', undefined],
      ['is named nowhere, beside an empty body', '', {}],
      ['differs between query and body', '?clerkOrgId=org_a', { clerkOrgId: 'org_b' }],
      ['is empty in the query', '?clerkOrgId=', undefined],
      ['is empty in the query, and named in the body', '?clerkOrgId=', { clerkOrgId: 'org_a' }],
      ['is sent twice in the query', '?clerkOrgId=org_a&clerkOrgId=org_a', undefined],
      ['is null in the body', '', { clerkOrgId: null }],
      ['holds white space in the body', '', { clerkOrgId: 'org a' }],
    ])('refuses when the organisation %s', async (_what, query, body) => {
      const { id } = await service.issueKey(newOrganization());
      expectInvalid(await revoke(id, query, body), '/clerkOrgId');
    });

    it('revokes nothing when query and body name two organisations, though one of them is right', async () => {
      const org = newOrganization();
      const { id, key } = await service.issueKey(org);
      await revoke(id, `?clerkOrgId=${org}`, { clerkOrgId: newOrganization() });
      await revoke(id, `?clerkOrgId=${newOrganization()}`, { clerkOrgId: org });
      expect(await stillGood(key)).toBe(true);
    });

    it('refuses an unknown field in the body', async () => {
      const org = newOrganization();
      const { id } = await service.issueKey(org);
      expectInvalid(await revoke(id, '', { clerkOrgId: org, reason: 'leaked' }), '/reason');
    });

    it('refuses a body that is not JSON', async () => {
      const { id } = await service.issueKey(newOrganization());
      expectProblem(await revoke(id, '', 'clerkOrgId=org_a'), 400, 'malformed_json');
    });
  });

  describe('404', () => {
    it("is one answer, byte for byte, for an unknown id, another organisation's, a malformed one and an unknown organisation", async () => {
      const org = newOrganization();
      await service.issueKey(org);
      const theirs = await service.issueKey(newOrganization());
      const query = `?clerkOrgId=${org}`;
      const answers = [
        await revoke('01890000-0000-7000-8000-000000000000', query),
        await revoke(theirs.id, query),
        await revoke(theirs.id, '', { clerkOrgId: org }),
        await revoke('not-a-uuid', query),
        await revoke("'%20or%20true--", query),
        await revoke(theirs.id, `?clerkOrgId=${newOrganization()}`),
      ];
      for (const answer of answers) expectProblem(answer, 404, 'api_key_not_found');
      const [first, ...others] = answers.map(wholeAnswer);
      for (const answer of others) expect(answer).toEqual(first);
      expect(await stillGood(theirs.key)).toBe(true);
    });

    it('makes no organisation known', async () => {
      const org = newOrganization();
      await revoke('01890000-0000-7000-8000-000000000000', `?clerkOrgId=${org}`);
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });
  });
});
