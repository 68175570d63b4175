import { newOrganization } from './client.ts';
import { startService, type TestService } from './service.ts';

/** A service with something in it: an organisation that has one API key and one provider key, of openai. */
export interface FurnishedService {
  service: TestService;
  org: string;
  /** The API key, and its id. */
  key: string;
  id: string;
}

export async function startFurnishedService(): Promise<FurnishedService> {
  const service = await startService();
  const org = newOrganization();
  const { key, id } = await service.issueKey(org);
  await service.saveProviderKey(org, 'openai', 'not-a-real-one');
  return { service, org, key, id };
}
