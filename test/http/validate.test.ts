import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe('GET /validate', () => {
  describe('200', () => {
    it('tells whose the key is, in the shape that callers depend on', async () => {
      const org = newOrganization();
      const { key, id } = await service.issueKey(org, { name: 'CI' });
      const { status, body } = await service.asHolder(key, '/validate');
      expect(status).toBe(200);
      expect(body).toEqual({
        valid: true,
        orgId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        clerkOrgId: org,
        clerkUserId: null,
        configuredProviders: [],
        membership: 'disabled',
        apiKey: { id, name: 'CI', environment: 'live', scopes: null, metadata: {}, expiresAt: null },
      });
    });
  });
});
