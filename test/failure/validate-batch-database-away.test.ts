import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { timed } from '../support/stopwatch.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** What callers are promised when the database is gone. */
const LIMIT_MS = 1_000;

let pool: TcpProxy;
let service: TestService;
/** One that memory has, one that it has as refused, and one that nobody has asked about. */
let keys: { known: string; off: string; stranger: string };
beforeAll(async () => {
  service = await startService({
    environment: { CACHE_LEASE_MS: '3000' },
    async leadDatabase(url) {
      pool = await startTcpProxy(url);
      return pool.through(url);
    },
    leadChangeFeed: async (url) => url,
  });
  const org = newOrganization();
  const [known, off, stranger] = [
    await service.issueKey(org),
    await service.issueKey(org),
    await service.issueKey(org),
  ];
  await service.asService('PATCH', `/internal/api-keys/${off.id}`, { clerkOrgId: org, enabled: false });
  keys = { known: known.key, off: off.key, stranger: stranger.key };
});
afterAll(async () => {
  await service.stop();
  await pool.close();
});

const validate = () =>
  timed(() => service.asService('POST', '/internal/api-keys/validate', { keys: Object.values(keys) }));
const outcomes = async () => (await validate()).answer.body.results.map((result: { valid: unknown }) => result.valid);

describe('A batch of validations while the database is away', () => {
  it('answers what is remembered for as long as it may, then nothing, and never that a key is bad that was not looked up', async () => {
    const warm = async () => {
      await service.asHolder(keys.known, '/validate');
      await service.asHolder(keys.off, '/validate');
    };
    await warm();
    pool.stall();
    const { answer, tookMs } = await validate();
    expect(answer.status).toBe(200);
    expect(tookMs).toBeLessThan(LIMIT_MS);
    expect(answer.body.results).toEqual([
      expect.objectContaining({ valid: true }),
      expect.objectContaining({ valid: false, code: 'api_key_disabled' }),
      { valid: null, code: 'database_unavailable', error: expect.stringMatching(/\S/) },
    ]);
    const seen = new Set<string>();
    await expect
      .poll(
        async () => {
          const now = String(await outcomes());
          seen.add(now);
          return now;
        },
        { timeout: 10_000 },
      )
      .toBe(',,');
    for (const now of seen) expect([',,', 'true,false,']).toContain(now);
    pool.restore();
    await expect.poll(outcomes, { timeout: 10_000 }).toEqual([true, false, true]);
  }, 40_000);
});
