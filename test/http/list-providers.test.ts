import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

interface Listed {
  slug: string;
}

describe('GET /internal/providers', () => {
  describe('200', () => {
    it('lists what is known of every provider, and nothing of how it is asked', async () => {
      const { status, body } = await service.asService('GET', '/internal/providers');
      expect(status).toBe(200);
      expect(Object.keys(body)).toEqual(['providers']);
      expect(body.providers.length).toBeGreaterThanOrEqual(30);
      for (const provider of body.providers) {
        expect(provider).toEqual({
          slug: expect.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
          name: expect.stringMatching(/\S/),
          keysUrl: expect.stringMatching(/^https:\/\//),
          keyForm: { pattern: expect.stringMatching(/^\^.*\$$/), hint: expect.stringMatching(/\S.*\.$/) },
          checkable: provider.slug !== 'twilio',
        });
      }
      expect(body.providers[0]).toEqual({
        slug: 'anthropic',
        name: 'Anthropic',
        keysUrl: 'https://platform.claude.com/settings/keys',
        keyForm: { pattern: '^sk-ant-[A-Za-z0-9_-]+$', hint: 'Starts with sk-ant-.' },
        checkable: true,
      });
    });

    it('is sorted by slug', async () => {
      const { body } = await service.asService('GET', '/internal/providers');
      const slugs = body.providers.map(({ slug }: Listed) => slug);
      expect(slugs).toEqual([...new Set<string>(slugs)].toSorted());
    });

    it('is in the documentation, with an example that it would answer', async () => {
      const { body: document } = await service.request('GET', '/openapi.json');
      const { body } = await service.asService('GET', '/internal/providers');
      const { schema } = document.paths['/internal/providers'].get.responses['200'].content['application/json'];
      expect(body.providers).toEqual(expect.arrayContaining(schema.properties.providers.example));
      expect(schema.properties.providers.example).toHaveLength(1);
    });

    it('is no list to be on: a key of any other provider is stored, and one of another form', async () => {
      const org = newOrganization();
      expect((await service.saveProviderKey(org, 'not-in-the-catalogue', 'not-a-real-key')).status).toBe(201);
      expect((await service.saveProviderKey(org, 'anthropic', 'not-of-the-form-either')).status).toBe(201);
    });
  });

  describe('401', () => {
    it('is for services alone', async () => {
      expectProblem(await service.request('GET', '/internal/providers'), 401, 'service_key_missing');
      const { key } = await service.issueKey(newOrganization());
      expectProblem(await service.asHolder(key, '/internal/providers'), 401, 'service_key_invalid');
    });
  });
});
