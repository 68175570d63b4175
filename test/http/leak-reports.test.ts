import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditorOf, listEvents } from '../support/audit.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startService({ environment: { CACHE_LEASE_MS: '60000' } });
  other = await startService({ beside: service, environment: { CACHE_LEASE_MS: '60000' } });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

const report = (strings: unknown, rest: Record<string, unknown> = { source: 'a scanner' }) =>
  service.asService('POST', '/internal/leak-reports', { strings, ...rest });
const eventsOf = async (query: Record<string, string>) => (await listEvents(service, query)).events;
const revoked = async (key: string) => expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
/** Of the right shape; nobody has issued it. */
const unknown = `ks_live_${'A'.repeat(49)}`;

describe('POST /internal/leak-reports', () => {
  describe('200', () => {
    it('revokes the API keys among the strings at once, of whichever organisation, and no other key', async () => {
      const [one, two] = [newOrganization(), newOrganization()];
      const leaked = [await service.issueKey(one), await service.issueKey(two, { environment: 'test' })];
      const kept = await service.issueKey(one);
      for (const { key } of [...leaked, kept]) expect((await service.asHolder(key, '/validate')).status).toBe(200);
      expect((await report([...leaked.map(({ key }) => ` ${key}\n`), unknown])).status).toBe(200);
      for (const { key } of leaked) await revoked(key);
      expect((await service.asHolder(kept.key, '/validate')).status).toBe(200);
    });

    it('revokes them in the other replicas', async () => {
      const { key } = await service.issueKey(newOrganization());
      expect((await other.asHolder(key, '/validate')).status).toBe(200);
      await report([key]);
      await expect.poll(async () => (await other.asHolder(key, '/validate')).status).toBe(401);
    });

    it('finds a key in a longer text, also where other characters stand beside it', async () => {
      const keys = await Promise.all(Array.from({ length: 4 }, () => service.issueKey(newOrganization())));
      const [a, b, c, d] = keys.map(({ key }) => key);
      await report([`curl -H "Authorization: Bearer ${a}" https://api.example`, `KEY=${b};OTHER_${c}.`, `${d}"}`]);
      for (const { key } of keys) await revoked(key);
    });

    it('does not take a part of something longer for a key', async () => {
      const { key } = await service.issueKey(newOrganization());
      await report([`${key}0`, `x${key}`, key.slice(0, -1)]);
      expect((await service.asHolder(key, '/validate')).status).toBe(200);
    });

    it('revokes a key that was imported, and looks like none of ours', async () => {
      const { key, id } = await service.issueKey(newOrganization());
      const imported = `an imported key ${id}`;
      await service.sql('update key_service.api_keys set key_hash = $1 where id = $2', [
        createHash('sha256').update(imported).digest(),
        id,
      ]);
      await report([imported]);
      expect(await service.sql('select revoked_at from key_service.api_keys where id = $1', [id])).toEqual([
        { revoked_at: expect.any(Date) },
      ]);
      expect((await service.asHolder(key, '/validate')).status).toBe(401);
    });

    it("revokes the keys of the platform's services", async () => {
      const caller = await newServiceCaller(service, { permissions: ['provider-keys:read'] });
      const read = () => caller.as('GET', `/internal/keys?clerkOrgId=${newOrganization()}`);
      expect((await read()).status).toBe(200);
      await report([caller.key]);
      expectProblem(await read(), 401, 'service_key_invalid');
    });

    it('is the same answer whether there were any', async () => {
      const { key } = await service.issueKey(newOrganization());
      const answers = [await report([key]), await report([unknown]), await report([key]), await report(['x'])];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(answers[0]?.body).toEqual({ received: 1, message: expect.stringMatching(/\S/) });
    });

    it('is in the audit: of each key where it was found, and of the report itself', async () => {
      const org = newOrganization();
      const { key, id } = await service.issueKey(org);
      const found = { source: 'github', url: 'https://github.example/somebody/something' };
      await report([key, unknown], found);
      const [revocation] = await eventsOf({ clerkOrgId: org });
      expect(revocation).toMatchObject({
        action: 'api_key.revoked',
        actor: { kind: 'service', name: 'root' },
        target: { type: 'api-key', id },
        details: { ...found, reason: 'leaked' },
      });
      const [taken] = await eventsOf({ action: 'leak_report.taken', limit: '1' });
      expect(taken).toMatchObject({ clerkOrgId: null, details: { ...found, strings: 2, revoked: 1 } });
    });

    it('is in the audit without the keys, wherever the reporter has put them', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      const odd = 'an odd secret/of 16';
      await report([key, odd], {
        source: `found ${key}`,
        url: `https://paste.example/?q=${encodeURIComponent(odd)}#${key}`,
      });
      const events = [...(await eventsOf({ clerkOrgId: org })), ...(await eventsOf({ limit: '1' }))];
      expect(JSON.stringify(events)).toContain('https://paste.example/?q=…#…');
      for (const secret of [key, odd, encodeURIComponent(odd)]) expect(JSON.stringify(events)).not.toContain(secret);
    });

    it('a second time revokes nothing a second time', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      await report([key, key, `"${key}"`]);
      await report([key]);
      const actions = (await eventsOf({ clerkOrgId: org })).map(({ action }) => action);
      expect(actions).toEqual(['api_key.revoked', 'api_key.issued']);
    });

    it('is the answer to 20 at once about the same keys in other orders, and each is revoked once', async () => {
      const org = newOrganization();
      const keys = await Promise.all(Array.from({ length: 10 }, async () => (await service.issueKey(org)).key));
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) => report(n % 2 === 0 ? keys : keys.toReversed())),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      const revocations = await eventsOf({ clerkOrgId: org, action: 'api_key.revoked', limit: '100' });
      expect(revocations).toHaveLength(10);
      const auditor = auditorOf(service);
      expect(await auditor.faults()).toEqual([]);
      await auditor.close();
    });

    it('of the root key says so in the log, which alone can be done', async () => {
      const before = service.logLines.length;
      expect((await report([`X-Service-Key: ${SERVICE_KEY}`, SERVICE_KEY])).status).toBe(200);
      const lines = service.logLines.slice(before).filter(({ msg }) => String(msg).includes('root key'));
      expect(lines).toEqual([expect.objectContaining({ level: 'error', requestId: expect.any(String) })]);
      expect(JSON.stringify(lines)).not.toContain(SERVICE_KEY);
      expect((await report([unknown])).status).toBe(200);
    });
  });

  describe('400', () => {
    it.each([
      ['no strings', {}, '/strings'],
      ['an empty list', { strings: [] }, '/strings'],
      ['101 strings', { strings: Array(101).fill('x') }, '/strings'],
      ['an empty string', { strings: [''] }, '/strings/0'],
      ['what is no string', { strings: ['x', 7] }, '/strings/1'],
      ['a string that is too long', { strings: ['x'.repeat(8_193)] }, '/strings/0'],
      ['no source', { source: undefined }, '/source'],
      ['a source that is too long', { source: 'x'.repeat(256) }, '/source'],
      ['a url that is none', { url: 'somewhere' }, '/url'],
      ['a url that is no page', { url: 'file:///etc/passwd' }, '/url'],
    ])('%s', async (_, change, pointer) => {
      const body = {
        source: 'a scanner',
        ...('source' in change || 'url' in change ? { strings: ['x'] } : {}),
        ...change,
      };
      expectInvalid(await service.asService('POST', '/internal/leak-reports', body), pointer);
    });
  });
});
