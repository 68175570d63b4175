import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem, wholeAnswer } from '../support/problem.ts';
import { requestHead, sendRaw } from '../support/raw-http.ts';
import { startService, type TestService } from '../support/service.ts';

const CHALLENGE = 'Bearer realm="key-service"';
const INVALID_TOKEN = `${CHALLENGE}, error="invalid_token"`;

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const neverIssued = () => generateKey('ks', 'live').key;
const withAuthorization = (value: string) =>
  service.request('GET', '/validate', { headers: { Authorization: value, 'X-Request-Id': 'one-id' } });

describe('GET /validate 401', () => {
  describe('api_key_missing', () => {
    it.each<[what: string, headers: Record<string, string>]>([
      ['no Authorization is sent', {}],
      ['Authorization is empty', { Authorization: '' }],
      ['the scheme is Basic', { Authorization: 'Basic bm9ib2R5Om5vdGhpbmc=' }],
      ['the scheme only starts with Bearer', { Authorization: 'BearerToken ks_live_nobodys' }],
      ['the bearer token is missing', { Authorization: 'Bearer' }],
      ['the bearer token is white space', { Authorization: 'Bearer   ' }],
      ['a key is sent in X-API-Key alone', { 'X-API-Key': neverIssued() }],
      ['the service key is sent in X-Service-Key alone', { 'X-Service-Key': SERVICE_KEY }],
    ])('is answered when %s', async (_what, headers) => {
      const answer = await service.request('GET', '/validate', { headers });
      expectProblem(answer, 401, 'api_key_missing');
      expect(answer.headers.get('www-authenticate')).toBe(CHALLENGE);
    });
  });

  describe('api_key_invalid', () => {
    it.each([
      ['was never issued', neverIssued()],
      ['has a wrong checksum', `ks_live_${'A'.repeat(49)}`],
      ['is too short', 'ks_live_AAAA'],
      ['has another prefix', `sk_live_${'A'.repeat(49)}`],
      ['is garbage', '%00\u00ff\u00fe{}"\'; drop table api_keys; --'],
      ['holds two words', 'two words'],
      ['has ten thousand characters', 'k'.repeat(10_000)],
      ['is the service key', SERVICE_KEY],
    ])('is answered when the key %s', async (_what, key) => {
      const answer = await withAuthorization(`Bearer ${key}`);
      expectProblem(answer, 401, 'api_key_invalid');
      expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
      expect(answer.text).not.toContain(key);
    });

    it('is the same answer to a key that was never issued, a mistyped one and garbage', async () => {
      const keys = [neverIssued(), `ks_live_${'A'.repeat(49)}`, `ks_test_${'z'.repeat(49)}`, 'garbage'];
      const answers = await Promise.all(keys.map((key) => withAuthorization(`Bearer ${key}`)));
      const [unknown, ...others] = answers.map(wholeAnswer);
      for (const other of others) expect(other).toEqual(unknown);
    });

    it('is answered when a key that is good has one character more, less or in another case', async () => {
      const { key } = await service.issueKey(newOrganization());
      const changed = [`${key}0`, key.slice(0, -1), key.replace('ks_live', 'ks_test'), key.replace('ks_', 'KS_')];
      for (const wrong of changed) expectProblem(await withAuthorization(`Bearer ${wrong}`), 401, 'api_key_invalid');
      expect((await withAuthorization(`Bearer ${key}`)).status).toBe(200);
    });

    it('is answered when Authorization is sent twice, though either key is good', async () => {
      const { key } = await service.issueKey(newOrganization());
      const header = `Authorization: Bearer ${key}`;
      expect((await sendRaw(service.port, requestHead('GET /validate', header))).status).toBe(200);
      const answer = await sendRaw(service.port, requestHead('GET /validate', header, header));
      expectProblem(answer, 401, 'api_key_invalid');
      expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
    });
  });

  describe('api_key_revoked', () => {
    it('is answered from the moment that the revocation was answered', async () => {
      const org = newOrganization();
      const { key, id } = await service.issueKey(org);
      expect((await service.asHolder(key, '/validate')).status).toBe(200);
      await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      const answers = await Promise.all(Array.from({ length: 10 }, () => service.asHolder(key, '/validate')));
      for (const answer of answers) expectProblem(answer, 401, 'api_key_revoked');
      expect(answers[0]?.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
    });

    it('is answered for that key alone', async () => {
      const org = newOrganization();
      const [revoked, kept] = [await service.issueKey(org), await service.issueKey(org)];
      await service.asService('DELETE', `/internal/api-keys/${revoked.id}?clerkOrgId=${org}`);
      expect((await service.asHolder(kept.key, '/validate')).status).toBe(200);
    });

    it('is answered still when the key has expired as well', async () => {
      const org = newOrganization();
      const { key, id } = await service.issueKey(org);
      await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
      await service.sql(`update key_service.api_keys set expires_at = now() - interval '1 day' where id = $1`, [id]);
      expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
    });
  });

  describe('api_key_disabled', () => {
    it('is answered while the key is switched off, and no longer', async () => {
      const { key, id } = await service.issueKey(newOrganization());
      const switchTo = (enabled: boolean) =>
        service.sql('update key_service.api_keys set enabled = $2 where id = $1', [id, enabled]);
      await switchTo(false);
      const answer = await service.asHolder(key, '/validate');
      expectProblem(answer, 401, 'api_key_disabled');
      expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
      await switchTo(true);
      // Done past the service, which learns of it from the database.
      await vi.waitFor(async () => expect((await service.asHolder(key, '/validate')).status).toBe(200));
    });
  });

  describe('api_key_expired', () => {
    it('is answered when its time is over, and names the instant', async () => {
      const { key, id } = await service.issueKey(newOrganization());
      await service.sql(`update key_service.api_keys set expires_at = '2026-01-01T01:00:00.007+01:00' where id = $1`, [
        id,
      ]);
      const answer = await service.asHolder(key, '/validate');
      expectProblem(answer, 401, 'api_key_expired');
      expect(answer.body.detail).toBe('This API key expired at 2026-01-01T00:00:00.007Z.');
      expect(answer.headers.get('www-authenticate')).toBe(INVALID_TOKEN);
    });

    it('comes at that instant for keys that nobody has asked for before', async () => {
      const org = newOrganization();
      const expiresAt = Date.now() + 1_500;
      const settings = { expiresAt: new Date(expiresAt).toISOString() };
      const keys = await Promise.all(Array.from({ length: 60 }, () => service.issueKey(org, settings)));
      await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() - 60));
      const seen = new Set<number>();
      for (const { key } of keys) {
        const asked = Date.now();
        const { status } = await service.asHolder(key, '/validate');
        if (Date.now() < expiresAt) expect(status).toBe(200);
        if (asked >= expiresAt) expect(status).toBe(401);
        seen.add(status);
        if (seen.size < 2) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(seen).toEqual(new Set([200, 401]));
    });

    it('comes by itself when a key that was good runs out', async () => {
      const expiresAt = new Date(Date.now() + 1_500).toISOString();
      const { key } = await service.issueKey(newOrganization(), { expiresAt });
      expect((await service.asHolder(key, '/validate')).status).toBe(200);
      await expect
        .poll(async () => (await service.asHolder(key, '/validate')).body.code, { timeout: 5_000 })
        .toBe('api_key_expired');
      expect(Date.now()).toBeGreaterThanOrEqual(new Date(expiresAt).getTime());
    });
  });

  it('never says why to someone who does not hold the key', async () => {
    const org = newOrganization();
    const { key, id } = await service.issueKey(org);
    await service.asService('DELETE', `/internal/api-keys/${id}?clerkOrgId=${org}`);
    expectProblem(await withAuthorization(`Bearer ${key.slice(0, -1)}`), 401, 'api_key_invalid');
  });
});
