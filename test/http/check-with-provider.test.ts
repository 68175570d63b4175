import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { expectProblem } from '../support/problem.ts';
import { providerKeyHistory } from '../support/provider-key-history.ts';
import { answerJson, type ProviderStandIn, startProviderStandIn } from '../support/provider-stand-in.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';

const SECRET = 'sk-not-a-real-secret-0123456789-3f9Q';

let provider: ProviderStandIn;
let service: TestService;
beforeAll(async () => {
  provider = await startProviderStandIn();
  service = await startService({
    environment: {
      METRICS_PORT: '0',
      PROVIDER_BASE_URLS: `openai=http://127.0.0.1:${provider.port}/v1`,
      PROVIDER_CHECKS_ALLOW_LOOPBACK: 'true',
    },
  });
});
afterEach(() => {
  provider.answer = (response) => answerJson(response, 200, {});
  provider.requests.length = 0;
});
afterAll(async () => {
  await service.stop();
  await provider.close();
});

const rejects: ProviderStandIn['answer'] = (response) =>
  answerJson(response, 401, { error: { code: 'invalid_api_key', message: `Incorrect API key provided: ${SECRET}` } });

const counted = async (outcome: string) =>
  (await metricsOf(service)).value('key_service_provider_checks_total', { outcome }) ?? 0;

describe('a key that its provider is asked about', () => {
  it('is sent to the provider in a header, once for a save and once for a check', async () => {
    const key = providerKeyHistory(service, newOrganization());
    const before = await counted('valid');
    expect((await key.save(SECRET, { check: true })).body).toMatchObject({ version: 1, status: 'valid' });
    expect((await key.check()).body).toMatchObject({ version: 1, outcome: 'valid' });
    const sent = provider.requests.map(({ method, url, headers }) => [method, url, headers.authorization]);
    expect(sent).toEqual([
      ['GET', '/v1/models', `Bearer ${SECRET}`],
      ['GET', '/v1/models', `Bearer ${SECRET}`],
    ]);
    expect(await counted('valid')).toBe(before + 2);
  });

  it('is not stored when the provider rejects it, and what the provider says of it goes nowhere', async () => {
    provider.answer = rejects;
    const key = providerKeyHistory(service, newOrganization());
    const answer = await key.save(SECRET, { check: true });
    expectProblem(answer, 422, 'provider_key_rejected');
    expect(answer.text).not.toContain(SECRET);
    expect(await key.sealed()).toEqual([]);
    expect(JSON.stringify(service.logLines)).not.toContain(SECRET);
  });

  it('is shown as rejected when the stored one no longer is good', async () => {
    const key = providerKeyHistory(service, newOrganization());
    await key.save(SECRET, { check: true });
    provider.answer = rejects;
    expect((await key.check()).body).toMatchObject({ outcome: 'rejected', status: 'rejected' });
    expect(await key.listed()).toMatchObject({ status: 'rejected' });
  });

  it('is stored as unreachable when the provider never answers, within two seconds, and so it is checked', async () => {
    provider.answer = () => {};
    const key = providerKeyHistory(service, newOrganization());
    const save = await timed(() => key.save(SECRET, { check: true }));
    expect(save.answer.body).toMatchObject({ version: 1, status: 'unreachable' });
    expect(save.tookMs).toBeLessThan(2_000);
    const check = await timed(key.check);
    expect(check.answer.body).toMatchObject({ outcome: 'unreachable' });
    expect(check.tookMs).toBeLessThan(2_000);
  });

  it('is not called unreachable by a service that is too busy to ask, which says so', async () => {
    const key = providerKeyHistory(service, newOrganization());
    await key.save(SECRET, { check: true });
    const before = { refused: await counted('busy'), key: await key.listed() };
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    provider.requests.length = 0;
    provider.answer = (response) => void released.then(() => answerJson(response, 200, {}));
    const others = Array.from({ length: 16 }, () =>
      providerKeyHistory(service, newOrganization()).save(SECRET, { check: true }),
    );
    await expect.poll(() => provider.requests.length).toBe(16);
    const { answer, tookMs } = await timed(() => key.check());
    expectProblem(answer, 503, 'overloaded');
    expect(tookMs).toBeLessThan(2_000);
    expect(await counted('busy')).toBe(before.refused + 1);
    expect(await key.listed()).toEqual(before.key);
    expect(provider.requests).toHaveLength(16);
    release();
    await Promise.all(others);
  });

  it("is the platform's too", async () => {
    const key = providerKeyHistory(service, null);
    expect((await key.save(SECRET, { check: true })).body).toMatchObject({ version: 1, status: 'valid' });
    provider.answer = rejects;
    expect((await key.check()).body).toMatchObject({ outcome: 'rejected' });
  });

  it('is unchecked where no provider is asked, and nobody is; nor does the audit say that it was revealed', async () => {
    const org = newOrganization();
    const key = providerKeyHistory(service, org, 'nobody-knows-this-one');
    expect((await key.save(SECRET, { check: true })).body).toMatchObject({ version: 1, status: 'unchecked' });
    expect((await key.check()).body).toMatchObject({ outcome: 'unchecked', lastCheckedAt: null });
    expect(provider.requests).toEqual([]);
    const { body } = await service.asService('GET', `/internal/audit-events?clerkOrgId=${org}`);
    expect(body.events.map(({ action }: { action: string }) => action)).toEqual(['provider_key.saved']);
  });

  it('is unchecked when no header carries it, and the record of its save is no record of a reveal', async () => {
    const org = newOrganization();
    const key = providerKeyHistory(service, org);
    expect((await key.save('not-a-real-clé', { check: true })).body).toMatchObject({ status: 'unchecked' });
    expect(provider.requests).toEqual([]);
    const { body } = await service.asService('GET', `/internal/audit-events?clerkOrgId=${org}`);
    expect(body.events.map(({ action }: { action: string }) => action)).toEqual(['provider_key.saved']);
  });
});
