import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe('GET /health', () => {
  it('200: says that the process lives, in the shape that callers depend on', async () => {
    const before = Date.now();
    const { status, body } = await service.request('GET', '/health');
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        status: 'ok',
        service: 'key-service',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    });
    const at = new Date(body.timestamp).getTime();
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  it('200: asks nobody who they are', async () => {
    const headers = { Authorization: 'Bearer ks_live_nobodys', 'X-Service-Key': 'wrong', 'X-API-Key': 'wrong' };
    expect((await service.request('GET', '/health', { headers })).status).toBe(200);
  });

  it('200: answers HEAD without a body', async () => {
    const { status, text } = await service.request('HEAD', '/health');
    expect({ status, text }).toEqual({ status: 200, text: '' });
  });
});

describe('GET /health/ready', () => {
  it('200: tells of everything that this replica needs', async () => {
    const { status, body } = await service.request('GET', '/health/ready');
    expect(status).toBe(200);
    expect(body).toEqual({
      status: 'ok',
      checks: {
        database: 'ok',
        migrations: 'ok',
        encryptionKey: 'ok',
        changeFeed: expect.stringMatching(/^(ok|disabled)$/),
        clerk: 'disabled',
      },
    });
  });

  it('200: asks nobody who they are', async () => {
    const headers = { Authorization: 'Bearer ks_live_nobodys', 'X-Service-Key': 'wrong' };
    expect((await service.request('GET', '/health/ready', { headers })).status).toBe(200);
  });

  it('503: when the data key that proves the master key no longer opens', async () => {
    const broken = await startService();
    try {
      await broken.sql(`update key_service.data_keys set wrapped = ''::bytea where purpose = 'system'`);
      const { status, body, headers } = await broken.request('GET', '/health/ready');
      expect({ status, answer: body.status }).toEqual({ status: 503, answer: 'unavailable' });
      expect(body.checks).toMatchObject({ database: 'ok', migrations: 'ok', encryptionKey: 'unavailable' });
      expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      expect((await broken.request('GET', '/health')).status).toBe(200);
    } finally {
      await broken.stop();
    }
  });

  it('503: when a migration that this version needs is not there', async () => {
    const broken = await startService();
    try {
      const [table] = await broken.sql<{ name: string }>(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables where tablename like '%drizzle%' or schemaname = 'drizzle'
         or tablename like '%migrations%'`,
      );
      await broken.sql(`delete from ${table?.name}`);
      const { status, body } = await broken.request('GET', '/health/ready');
      expect({ status, migrations: body.checks.migrations }).toEqual({ status: 503, migrations: 'unavailable' });
    } finally {
      await broken.stop();
    }
  });
});
