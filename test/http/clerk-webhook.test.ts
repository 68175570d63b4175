import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { type Answer, newOrganization } from '../support/client.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { organizationDeleted, sendEvent, signedHeaders } from '../support/webhooks.ts';

let clerk: ClerkStandIn;
let service: TestService;
beforeAll(async () => {
  clerk = await startClerkStandIn();
  service = await startService({ environment: clerk.environment });
});
afterEach(() => {
  clerk.behaviour = {};
});
afterAll(async () => {
  await service.stop();
  await clerk.close();
});

const post = (body: string | Uint8Array, headers: Record<string, string>) =>
  service.request('POST', '/webhooks/clerk', { body, headers });
/** The log line of a request, once it is there. */
async function lineOf({ headers }: Answer): Promise<Record<string, unknown>> {
  const lines = () => service.logLines.filter((line) => line['requestId'] === headers.get('x-request-id'));
  await expect.poll(lines).toHaveLength(1);
  return lines()[0] ?? {};
}
/** What it says of why it was refused, and that it names no caller. */
async function errorLogged(answer: Answer): Promise<unknown> {
  const { error, ...line } = await lineOf(answer);
  expect(line).not.toHaveProperty('caller');
  return error;
}
const tombstoneOf = (org: string) =>
  service.sql<{ ended: boolean; destroyed: boolean; days: number | null }>(
    `select ended_at is not null as ended, destroyed_at is not null as destroyed,
       extract(epoch from destroy_after - ended_at)::int / 86400 as days
     from key_service.organizations where clerk_org_id = $1`,
    [org],
  );

describe('POST /webhooks/clerk', () => {
  describe('organization.deleted', () => {
    it('revokes at once, keeps the secrets for seven days, and leaves a tombstone', async () => {
      const org = newOrganization();
      const { key } = await service.issueKey(org);
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      expect((await service.asHolder(key, '/validate')).status).toBe(200);

      const { status, body } = await organizationDeleted(service, org);
      expect({ status, body }).toEqual({ status: 200, body: { message: 'The organisation has ended.' } });
      expectProblem(await service.asHolder(key, '/validate'), 401, 'api_key_revoked');
      expectProblem(await service.asHolder(key, '/validate/keys/openai'), 401, 'api_key_revoked');
      const reveal = await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${org}`);
      expectProblem(reveal, 404, 'provider_key_not_found');
      expect((await service.asService('GET', `/internal/keys?clerkOrgId=${org}`)).body.keys).toEqual([]);
      const issue = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
      expectProblem(issue, 409, 'organization_deleted');
      expectProblem(await service.saveProviderKey(org, 'openai', 'sk-other'), 409, 'organization_deleted');
      expect(await tombstoneOf(org)).toEqual([{ ended: true, destroyed: false, days: 7 }]);
    });

    it('leaves a tombstone of an organisation that was never known, so that nothing begins after its end', async () => {
      const org = newOrganization();
      await organizationDeleted(service, org);
      await sendEvent(service, 'organization.created', { id: org, object: 'organization' });
      const issue = await service.asService('POST', '/internal/api-keys', { clerkOrgId: org });
      expectProblem(issue, 409, 'organization_deleted');
    });

    it('changes nothing when it is replayed, one after the other or at once', async () => {
      const org = newOrganization();
      await service.issueKey(org);
      await organizationDeleted(service, org, { id: 'msg_fake_1' });
      const row = () => service.sql('select * from key_service.organizations where clerk_org_id = $1', [org]);
      const before = await row();
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => organizationDeleted(service, org, { id: 'msg_fake_1' })),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      expect(await row()).toEqual(before);
    });

    it('makes one end of eight deliveries at once of an organisation that nobody knew', async () => {
      const org = newOrganization();
      const answers = await Promise.all(Array.from({ length: 8 }, () => organizationDeleted(service, org)));
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      expect(await tombstoneOf(org)).toEqual([{ ended: true, destroyed: false, days: 7 }]);
    });

    it('says nothing new of an organisation whose secrets are destroyed', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      const { body } = await service.asService('DELETE', `/internal/organizations/${org}`);
      await organizationDeleted(service, org);
      expect((await service.asService('DELETE', `/internal/organizations/${org}`)).body).toEqual(body);
    });

    it('can be followed by the destruction that a service asks for, without the days of grace', async () => {
      const org = newOrganization();
      await service.saveProviderKey(org, 'openai', 'sk-not-a-real-key');
      await organizationDeleted(service, org);
      const { body } = await service.asService('DELETE', `/internal/organizations/${org}`);
      expect(body.destroyed).toMatchObject({ providerKeys: 1, secrets: 1, dataKeys: [expect.any(String)] });
      expect(await tombstoneOf(org)).toEqual([{ ended: true, destroyed: true, days: null }]);
    });
  });

  describe('membership events', () => {
    const members = (org: string) => ({
      organization: { id: org, object: 'organization' },
      public_user_data: { user_id: 'user_fake' },
    });

    it.each(['created', 'updated', 'deleted'])(
      '%s: the members are asked for at once, not when the answer is a minute old',
      async (what) => {
        const org = newOrganization();
        clerk.members.set(org, ['user_fake_1']);
        const { key } = await service.issueKey(org);
        const sole = async () => (await service.asHolder(key, '/validate')).body.clerkUserId;
        expect(await sole()).toBe('user_fake_1');
        clerk.members.set(org, ['user_fake_2']);
        expect(await sole()).toBe('user_fake_1');
        const { status } = await sendEvent(service, `organizationMembership.${what}`, members(org));
        expect(status).toBe(200);
        await expect.poll(sole).toBe('user_fake_2');
      },
    );

    it('ask nothing about an organisation of which nothing is known here', async () => {
      const asked = clerk.requests.length;
      const { status } = await sendEvent(service, 'organizationMembership.created', members(newOrganization()));
      expect(status).toBe(200);
      expect(clerk.requests.length).toBe(asked);
    });

    it('reach every replica', async () => {
      const other = await startService({ beside: service, environment: service.environment });
      try {
        const org = newOrganization();
        clerk.members.set(org, ['user_fake_1']);
        const { key } = await service.issueKey(org);
        const sole = async () => (await other.asHolder(key, '/validate')).body.clerkUserId;
        expect(await sole()).toBe('user_fake_1');
        clerk.members.set(org, ['user_fake_2']);
        await sendEvent(service, 'organizationMembership.deleted', members(org));
        await expect.poll(sole).toBe('user_fake_2');
      } finally {
        await other.stop();
      }
    });
  });

  describe('other events', () => {
    it.each(['user.created', 'organizationInvitation.accepted', 'session.ended', '__proto__', ''])(
      '%s is answered and does nothing',
      async (type) => {
        const { status, body } = await sendEvent(service, type, { id: newOrganization() });
        expect({ status, body }).toEqual({ status: 200, body: { message: 'This event means nothing here.' } });
      },
    );
  });

  describe('400 webhook_signature_invalid', () => {
    const now = Math.floor(Date.now() / 1000);
    const event = (id: string) => JSON.stringify({ type: 'organization.deleted', data: { id } });
    it.each([
      ['was made with another secret', 'signature', { key: 'another-key-not-a-real-one' }],
      ['is older than five minutes', 'too_old', { at: now - 301 }],
      ['is of the future', 'too_new', { at: now + 360 }],
      ['is of another delivery', 'signature', { headers: { 'svix-id': 'msg_another' } }],
      ['is of another time', 'signature', { headers: { 'svix-timestamp': String(now + 30) } }],
      ['is no signature', 'signature', { headers: { 'svix-signature': 'v1,bm90IG9uZQ==' } }],
      ['is of another version', 'signature', { headers: { 'svix-signature': 'v2,bm90IG9uZQ==' } }],
      ['is empty', 'headers', { headers: { 'svix-signature': '' } }],
      ['has no time', 'timestamp', { headers: { 'svix-timestamp': 'yesterday' } }],
    ])('refuses when the signature %s, and logs %s of nobody', async (_what, reason, delivery) => {
      const org = newOrganization();
      const answer = await post(event(org), signedHeaders(event(org), delivery));
      expectProblem(answer, 400, 'webhook_signature_invalid');
      expect(await tombstoneOf(org)).toEqual([]);
      expect(await errorLogged(answer)).toEqual({ code: 'webhook_signature_invalid', context: { reason } });
    });

    it('accepts what is four minutes old, and one good signature among others, as while a secret is exchanged', async () => {
      const body = event(newOrganization());
      expect((await post(body, signedHeaders(body, { at: now - 240 }))).status).toBe(200);
      const headers = signedHeaders(body);
      const several = { ...headers, 'svix-signature': `v1,bm90IG9uZQ== ${headers['svix-signature']}` };
      expect((await post(body, several)).status).toBe(200);
    });

    it('refuses a body that was changed by a single byte, though it says the same', async () => {
      const body = event(newOrganization());
      expectProblem(await post(`${body} `, signedHeaders(body)), 400, 'webhook_signature_invalid');
    });

    it('refuses bytes that are not UTF-8, which would be decoded into something that was not signed', async () => {
      const replaced = event('org_\uFFFD');
      const bytes = Buffer.from(event('org_?'));
      bytes[bytes.indexOf('?')] = 0xff;
      const answer = await post(bytes, signedHeaders(replaced));
      expectProblem(answer, 400, 'webhook_signature_invalid');
      expect(await errorLogged(answer)).toMatchObject({ context: { reason: 'not_utf8' } });
    });

    it('refuses what nobody claims to have signed without reading it', async () => {
      expectProblem(await post('{', {}), 400, 'webhook_signature_invalid');
      expectProblem(await post('x'.repeat(70_000), {}), 400, 'webhook_signature_invalid');
    });

    it('refuses an empty body, and one that is no JSON though it was signed', async () => {
      const headers = signedHeaders('');
      const empty = await service.request('POST', '/webhooks/clerk', { headers });
      expectProblem(empty, 400, 'webhook_signature_invalid');
      for (const body of ['{', '"', 'null']) {
        const answer = await post(body, signedHeaders(body));
        expectProblem(answer, 400, 'webhook_signature_invalid');
        expect(await errorLogged(answer)).toMatchObject({ context: { reason: 'not_an_event' } });
      }
      for (const body of ['7', '"text"', '[]', '{}']) {
        expect((await post(body, signedHeaders(body))).body.message).toBe('This event means nothing here.');
      }
    });

    it('tells nobody why, and the log does', async () => {
      const body = event(newOrganization());
      const wrong = await post(body, signedHeaders(body, { key: 'another-key-not-a-real-one' }));
      const missing = await post(body, {});
      expect(wrong.body).toEqual({ ...missing.body, requestId: wrong.body.requestId });
      expect(wrong.body.error).not.toMatch(/timestamp|header|secret/i);
      expect(await errorLogged(wrong)).toMatchObject({ context: { reason: 'signature' } });
      expect(await errorLogged(missing)).toMatchObject({ context: { reason: 'headers' } });
    });

    it('logs nobody as its sender, and Clerk as that of what is verified', async () => {
      const body = event(newOrganization());
      const tooLarge = await post('x'.repeat(70_000), signedHeaders(body));
      expectProblem(tooLarge, 413, 'payload_too_large');
      expect(await lineOf(tooLarge)).not.toHaveProperty('caller');
      expect(await lineOf(await post(body, signedHeaders(body)))).toMatchObject({ caller: 'system:clerk-webhook' });
      const unreadable = JSON.stringify({ type: 'organization.deleted', data: {} });
      const answer = await post(unreadable, signedHeaders(unreadable));
      expect(await lineOf(answer)).toMatchObject({ status: 400, caller: 'system:clerk-webhook' });
    });
  });

  describe('400 invalid_request', () => {
    it.each([
      ['names no organisation', 'organization.deleted', {}, '/data/id'],
      ['names something else than an id', 'organization.deleted', { id: 7 }, '/data/id'],
      ['has an id that is none of Clerk', 'organization.deleted', { id: '../users' }, '/data/id'],
      ['has no data', 'organization.deleted', null, '/data'],
      ['has no organisation', 'organizationMembership.created', {}, '/data/organization'],
    ])('refuses an event that %s, so that it is seen', async (_what, type, data, pointer) => {
      expectInvalid(await sendEvent(service, type, data), pointer);
    });
  });

  it('413: refuses a body of more than 64 KiB', async () => {
    const body = JSON.stringify({ type: 'user.created', data: 'x'.repeat(70_000) });
    expectProblem(await post(body, signedHeaders(body)), 413, 'payload_too_large');
  });

  it('415: refuses what is no JSON, and what is compressed', async () => {
    const body = '{}';
    const text = { ...signedHeaders(body), 'Content-Type': 'text/plain' };
    expectProblem(await post(body, text), 415, 'unsupported_media_type');
    const gzip = { ...signedHeaders(body), 'Content-Encoding': 'gzip' };
    expectProblem(await post(body, gzip), 415, 'unsupported_media_type');
  });

  it('404: is not there without a signing secret', async () => {
    const without = await startService({ environment: { CLERK_WEBHOOK_SIGNING_SECRET: '' } });
    try {
      expectProblem(await organizationDeleted(without, newOrganization()), 404, 'not_found');
      expect((await without.request('GET', '/openapi.json')).body.paths).not.toHaveProperty('/webhooks/clerk');
    } finally {
      await without.stop();
    }
  });
});
