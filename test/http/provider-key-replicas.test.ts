import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { providerKeyHistory } from '../support/provider-key-history.ts';
import { startService, type TestService } from '../support/service.ts';

/** So long that nothing but the news of a change makes a replica forget. */
const environment = { CACHE_LEASE_MS: '60000' };
const SOON = { timeout: 5_000, interval: 5 };

let replica: TestService;
let other: TestService;
beforeAll(async () => {
  replica = await startService({ environment });
  other = await startService({ environment, beside: replica });
});
afterAll(async () => {
  await other.stop();
  await replica.stop();
});

/** What the organisation's API key gets of a replica: the version, or why there is none. */
async function revealed(service: TestService, apiKey: string): Promise<number | string> {
  const { status, body } = await service.asHolder(apiKey, '/validate/keys/openai');
  return status === 200 ? body.version : body.code;
}

describe('what one replica does to a provider key', () => {
  it('is what this one hands out at once, and another one that remembered it within moments', async () => {
    const org = newOrganization();
    const { key: apiKey } = await replica.issueKey(org);
    const [here, there] = [providerKeyHistory(replica, org), providerKeyHistory(other, org)];
    const expectEverywhere = async (at: TestService, outcome: number | string) => {
      expect(await revealed(at, apiKey)).toBe(outcome);
      await expect.poll(() => revealed(replica, apiKey), SOON).toBe(outcome);
      await expect.poll(() => revealed(other, apiKey), SOON).toBe(outcome);
    };
    await here.save('not-a-real-secret-1');
    await expectEverywhere(replica, 1);
    await there.save('not-a-real-secret-2');
    await expectEverywhere(other, 2);
    await here.rollback(1);
    await expectEverywhere(replica, 3);
    await there.rollback(2);
    await expectEverywhere(other, 4);
    await here.remove();
    await expectEverywhere(replica, 'provider_key_not_found');
    await there.save('not-a-real-secret-2');
    await expectEverywhere(other, 5);
  });
});
