import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sentryErrorMonitor } from '../../src/observability/sentry.ts';
import { type Canary, newCanary } from '../support/canary.ts';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { type SentryStandIn, startSentryStandIn } from '../support/sentry-stand-in.ts';
import { startService, type TestService } from '../support/service.ts';

/** A canary in every place of a request from which something could reach an event. */
async function failWithCanaries(service: TestService, requestId: string): Promise<Canary[]> {
  const [header, body, query, cookie, key] = [newCanary(), newCanary(), newCanary(), newCanary(), newCanary('sk-')];
  await service.sql('alter table key_service.api_keys rename to api_keys_gone');
  try {
    const { status, body: answer } = await service.request('POST', `/internal/api-keys?token=${query.secret}`, {
      headers: {
        'X-Service-Key': SERVICE_KEY,
        'X-Request-Id': requestId,
        'X-Other': header.secret,
        Cookie: `session=${cookie.secret}`,
        'User-Agent': header.secret,
        Referer: `https://example.com/?${query.secret}`,
        'X-Forwarded-For': '203.0.113.77',
      },
      // Its name is a parameter of the statement that fails.
      body: { clerkOrgId: newOrganization(), name: body.secret, metadata: { secret: key.secret } },
    });
    expect({ status, code: answer.code }).toEqual({ status: 500, code: 'internal_error' });
  } finally {
    await service.sql('alter table key_service.api_keys_gone rename to api_keys');
  }
  return [header, body, query, cookie, key];
}

describe('an unexpected error', () => {
  let sentry: SentryStandIn;
  let service: TestService;
  let canaries: Canary[];
  let everything: string;
  beforeAll(async () => {
    sentry = await startSentryStandIn();
    service = await startService({ monitor: sentryErrorMonitor(sentry.dsn, 'production') });
    canaries = await failWithCanaries(service, 'request-that-failed');
    await service.stop();
    everything = sentry.envelopes.map(({ headers, text }) => headers + text).join('\n');
  });
  afterAll(() => sentry.close());

  it('is one event, sent before the service has stopped', () => {
    expect(sentry.events()).toHaveLength(1);
  });

  it('tells what is needed to find it: code, SQLSTATE, place in the code, route, request, version', () => {
    expect(sentry.events()[0]).toMatchObject({
      level: 'error',
      environment: 'production',
      release: expect.stringMatching(/^key-service@\d+\.\d+\.\d+/),
      transaction: 'POST /internal/api-keys',
      exception: { values: [{ type: 'ServiceError', value: 'internal_error' }] },
      tags: {
        code: 'internal_error',
        origin: expect.stringMatching(/^[\w.-]+#[\w.<>#]+:\d+$/),
        requestId: 'request-that-failed',
      },
      contexts: { failure: { sqlState: '42P01' } },
    });
  });

  it('is grouped by where it happened and not by what the request said', () => {
    const { fingerprint } = sentry.events()[0] as { fingerprint: string[] };
    expect(fingerprint).toEqual(['ServiceError', 'internal_error', expect.any(String), '/internal/api-keys']);
  });

  it('takes nothing of header, cookie, query, body or SQL parameter along, in any form', () => {
    expect(canaries).toHaveLength(5);
    expect(canaries.flatMap(({ formsIn }) => formsIn(everything))).toEqual([]);
    expect(everything).not.toContain(SERVICE_KEY);
  });

  it('has no stack trace, no breadcrumbs, no request, no user, no list of modules', () => {
    const event = sentry.events()[0] ?? {};
    for (const part of ['breadcrumbs', 'request', 'user', 'modules', 'extra', 'message', 'threads', 'debug_meta']) {
      expect(event, part).not.toHaveProperty(part);
    }
    expect(JSON.stringify(event)).not.toContain('stacktrace');
  });

  it('has no path of a file, no SQL, no address, and no name of a machine', () => {
    expect(everything).not.toMatch(/\/(work|app|home|root|tmp|usr)\/|node_modules|\.[jt]s\b/);
    expect(everything).not.toMatch(/\b(insert into|select |update |delete from|api_keys_gone|relation)\b/i);
    expect(everything).not.toMatch(/203\.0\.113\.77|postgres(ql)?:\/\//);
    expect(sentry.events()[0]).toMatchObject({ server_name: 'key-service' });
  });

  it('sends nothing but events: no session, no trace, no log', () => {
    const types = sentry.envelopes.flatMap(({ text }) => text.match(/^\{"type":"(\w+)"/gm) ?? []);
    expect(types).toEqual(['{"type":"event"']);
  });
});

describe('what is the caller’s business', () => {
  it('makes no event: 400, 401, 403, 404, 405, 413, 415', async () => {
    const sentry = await startSentryStandIn();
    const service = await startService({ monitor: sentryErrorMonitor(sentry.dsn, 'test') });
    const { key } = await service.issueKey(newOrganization(), { scopes: [] });
    const headers = { 'X-Service-Key': SERVICE_KEY };
    const answers = [
      await service.asService('GET', '/internal/api-keys'),
      await service.asHolder('not-a-real-key', '/validate'),
      await service.asHolder(key, '/validate?scope=read'),
      await service.request('GET', '/nowhere'),
      await service.request('PUT', '/validate'),
      await service.asService('POST', '/internal/keys', { clerkOrgId: 'x'.repeat(70_000) }),
      await service.request('POST', '/internal/keys', {
        headers: { ...headers, 'Content-Type': 'text/plain' },
        body: 'x',
      }),
      await service.request('POST', '/internal/keys', { headers, body: '{' }),
    ];
    await service.stop();
    expect(answers.map(({ status }) => status)).toEqual([400, 401, 403, 404, 405, 413, 415, 400]);
    expect(sentry.envelopes).toEqual([]);
    await sentry.close();
  });
});
