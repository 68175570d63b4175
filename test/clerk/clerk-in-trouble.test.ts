import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLERK_SECRET_KEY, type ClerkStandIn, startClerkStandIn } from '../support/clerk-stand-in.ts';
import { newOrganization } from '../support/client.ts';
import { metricsOf } from '../support/metrics.ts';
import { startService, type TestService } from '../support/service.ts';

const TIME_LIMIT_MS = 200;
/** What everything else of a validation may take on a busy machine. */
const MARGIN_MS = 800;

let clerk: ClerkStandIn;
let service: TestService;
beforeEach(async () => {
  clerk = await startClerkStandIn();
  const environment = { ...clerk.environment, CLERK_TIMEOUT_MS: String(TIME_LIMIT_MS), METRICS_PORT: '0' };
  service = await startService({ environment });
});
afterEach(async () => {
  await service.stop();
  await clerk.close();
});

/** A validation of an organisation that Clerk has a sole member for, and how long it took. */
async function validate(org = newOrganization()) {
  clerk.members.set(org, ['user_fake_1']);
  const { key } = await service.issueKey(org);
  const again = async () => {
    const startedAt = performance.now();
    const { status, body } = await service.asHolder(key, '/validate');
    const tookMs = performance.now() - startedAt;
    return { answer: [status, body.valid, body.clerkUserId, body.membership], tookMs };
  };
  return { ...(await again()), again };
}

const UNAVAILABLE = [200, true, null, 'unavailable'];

/** Fails often enough for Clerk to be left alone. */
async function openBreaker(): Promise<void> {
  clerk.behaviour = { status: 500 };
  for (let call = 0; call < 5; call += 1) await validate();
  clerk.behaviour = {};
  clerk.requests.length = 0;
}

describe('when Clerk does not answer', () => {
  it('a validation is answered within the time limit, and is as valid as ever', async () => {
    clerk.behaviour = { hang: true };
    const { answer, tookMs } = await validate();
    expect(answer).toEqual(UNAVAILABLE);
    expect(tookMs).toBeGreaterThan(TIME_LIMIT_MS / 2);
    expect(tookMs).toBeLessThan(TIME_LIMIT_MS + MARGIN_MS);
  });

  it('only the first of many validations waits for it', async () => {
    clerk.behaviour = { hang: true };
    const { again } = await validate();
    const { answer, tookMs } = await again();
    expect(answer).toEqual(UNAVAILABLE);
    expect(tookMs).toBeLessThan(TIME_LIMIT_MS);
    expect(clerk.requests).toHaveLength(1);
  });

  it('it is counted as a timeout', async () => {
    clerk.behaviour = { hang: true };
    await validate();
    expect((await metricsOf(service)).value('key_service_clerk_calls_total', { outcome: 'timeout' })).toBe(1);
  });

  it('nothing is waited for that answers later than the limit, nor believed afterwards without being asked', async () => {
    clerk.behaviour = { delayMs: 2 * TIME_LIMIT_MS };
    const { answer, again } = await validate();
    expect(answer).toEqual(UNAVAILABLE);
    expect((await again()).answer).toEqual(UNAVAILABLE);
  });
});

describe('when Clerk refuses', () => {
  it.each([400, 401, 403, 422, 429, 500, 502, 503])(
    'with %i, a key is valid and membership unavailable',
    async (status) => {
      clerk.behaviour = { status };
      expect((await validate()).answer).toEqual(UNAVAILABLE);
    },
  );

  it('that is remembered: the same organisation is not asked about again at once', async () => {
    clerk.behaviour = { status: 500 };
    const { again } = await validate();
    clerk.behaviour = {};
    expect((await again()).answer).toEqual(UNAVAILABLE);
    expect(clerk.requests).toHaveLength(1);
  });

  it('about one organisation, others are asked about all the same', async () => {
    clerk.behaviour = { status: 500 };
    await validate();
    clerk.behaviour = {};
    expect((await validate()).answer).toEqual([200, true, 'user_fake_1', 'fresh']);
  });
});

describe('when Clerk is not there at all', () => {
  it('a key is valid and membership unavailable', async () => {
    await clerk.close();
    const { answer, tookMs } = await validate();
    expect(answer).toEqual(UNAVAILABLE);
    expect(tookMs).toBeLessThan(TIME_LIMIT_MS + MARGIN_MS);
  });
});

describe('when Clerk fails again and again', () => {
  it('it is asked no more, and validations do not wait', async () => {
    await openBreaker();
    const answers = await Promise.all(Array.from({ length: 20 }, () => validate()));
    expect(answers.map(({ answer }) => answer)).toEqual(Array(20).fill(UNAVAILABLE));
    expect(clerk.requests).toEqual([]);
  });

  it('the log says so once, with the status that it answered', async () => {
    await openBreaker();
    await validate();
    const lines = service.logLines.filter(({ msg }) => String(msg).startsWith('Clerk is failing'));
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', status: 500 })]);
  });

  it('the metrics say so', async () => {
    const before = await metricsOf(service);
    expect(before.value('key_service_clerk_breaker_open')).toBe(0);
    await openBreaker();
    await validate();
    const after = await metricsOf(service);
    expect(after.value('key_service_clerk_breaker_open')).toBe(1);
    expect(after.value('key_service_clerk_calls_total', { outcome: 'failed' })).toBe(5);
    expect(after.value('key_service_clerk_calls_total', { outcome: 'refused' })).toBe(1);
  });

  it('readiness shows it, and stays 200', async () => {
    expect((await service.request('GET', '/health/ready')).body.checks.clerk).toBe('ok');
    await openBreaker();
    const { status, body } = await service.request('GET', '/health/ready');
    expect({ status, ...body }).toMatchObject({ status: 'ok', checks: { clerk: 'unavailable' } });
    expect(status).toBe(200);
  });

  it('organisations that it does not know are no failures', async () => {
    for (let call = 0; call < 10; call += 1) {
      const { key } = await service.issueKey(newOrganization());
      expect((await service.asHolder(key, '/validate')).body.membership).toBe('fresh');
    }
    expect((await metricsOf(service)).value('key_service_clerk_breaker_open')).toBe(0);
  });
});

describe('organisations whose ids are none of Clerk’s', () => {
  it('never keep Clerk from being asked about others', async () => {
    for (let index = 0; index < 10; index += 1) await validate(`org_${index}/../x`);
    expect((await validate()).answer).toEqual([200, true, 'user_fake_1', 'fresh']);
  });
});

describe("Clerk's secret key", () => {
  it('is sent to Clerk, and stands in no log line, answer or metric, whatever Clerk answers', async () => {
    const answers: unknown[] = [];
    for (const behaviour of [{}, { status: 401 }, { status: 429 }, { status: 500 }, { hang: true }, { status: 500 }]) {
      clerk.behaviour = behaviour;
      answers.push(await validate());
    }
    await validate();
    expect(clerk.requests[0]?.authorization).toContain(CLERK_SECRET_KEY);
    const { text } = await metricsOf(service);
    expect(JSON.stringify([service.logLines, answers, text])).not.toContain(CLERK_SECRET_KEY);
  });
});
