import { afterAll, beforeAll, describe, it } from 'vitest';
import { expectInvalid } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe('GET /internal/api-keys 400', () => {
  it.each([
    ['missing', ''],
    ['empty', 'clerkOrgId='],
    ['sent twice', 'clerkOrgId=org_a&clerkOrgId=org_a'],
    ['broken by white space', 'clerkOrgId=org+a'],
    ['with a NUL character', 'clerkOrgId=org%00'],
  ])('refuses a clerkOrgId that is %s', async (_what, query) => {
    expectInvalid(await service.asService('GET', `/internal/api-keys?${query}`), '/clerkOrgId');
  });

  it.each(['0', '-1', '101', '1.5', 'ten', '', '0x10', '1e1', '%205', '9'.repeat(400), '5&limit=5'])(
    'refuses the limit %s, which is no plain number from 1 to 100',
    async (limit) => {
      expectInvalid(await service.asService('GET', `/internal/api-keys?clerkOrgId=org_a&limit=${limit}`), '/limit');
    },
  );

  const cursorOf = (text: string) => Buffer.from(text).toString('base64url');
  const ID = '01890000-0000-7000-8000-000000000000';
  it.each([
    ['empty', ''],
    ['garbage', 'not-a-cursor'],
    ['an id alone', cursorOf(ID)],
    ['without an instant', cursorOf(`|${ID}`)],
    ['of an impossible instant', cursorOf(`2026-02-30T00:00:00.000Z|${ID}`)],
    ['of the year 0, which PostgreSQL does not know', cursorOf(`0000-01-01T00:00:00.000Z|${ID}`)],
    ['without an id', cursorOf('2026-01-01T00:00:00.000Z|')],
    ['of SQL', cursorOf(`2026-01-01T00:00:00.000Z|'; drop table api_keys; --`)],
    ['with a part too many', cursorOf(`2026-01-01T00:00:00.000Z|${ID}|${ID}`)],
    ['sent twice', `${cursorOf(`2026-01-01T00:00:00.000Z|${ID}`)}&cursor=a`],
  ])('refuses a cursor that is %s', async (_what, cursor) => {
    expectInvalid(await service.asService('GET', `/internal/api-keys?clerkOrgId=org_a&cursor=${cursor}`), '/cursor');
  });

  it.each(['yes', '1', 'TRUE', ''])('refuses includeRevoked=%s', async (value) => {
    const answer = await service.asService('GET', `/internal/api-keys?clerkOrgId=org_a&includeRevoked=${value}`);
    expectInvalid(answer, '/includeRevoked');
  });
});
