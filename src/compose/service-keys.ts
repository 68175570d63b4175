import type { Audit } from '../audit/audit.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { Config } from '../config/config.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Endpoint, ServiceAuthentication } from '../http/endpoint.ts';
import { serviceKeyEndpoints } from '../service-keys/endpoints.ts';
import { KnownServices } from '../service-keys/known-services.ts';
import { rootKeyTest, serviceAuthentication, serviceKeyTest } from '../service-keys/service-authentication.ts';
import type { KnownServiceKey } from '../service-keys/service-key.ts';
import { ServiceKeys } from '../service-keys/service-keys.ts';
import type { LastUsed } from '../usage/last-used.ts';
import type { ServiceKeyTest } from '../validation/client-origin.ts';
import type { Share } from './shares.ts';

export interface ComposedServiceKeys {
  /** How services are known. */
  service: ServiceAuthentication;
  isRootKey: (key: string) => boolean;
  isServiceKey: ServiceKeyTest;
  endpoints: Endpoint[];
  cache: LeasedCache<KnownServiceKey>;
}

/** The platform's own services, and how they are known to every other room. */
export function composeServiceKeys({
  config,
  rootKeys,
  database,
  audit,
  changes,
  lastUsed,
  share,
}: {
  config: Config;
  /** Those that are accepted. */
  rootKeys: readonly string[];
  database: Database;
  audit: Audit;
  changes: Changes;
  lastUsed: LastUsed;
  share: Share;
}): ComposedServiceKeys {
  const services = new KnownServices({ database, changes, lastUsed, ...share });
  const isRootKey = rootKeyTest(rootKeys);
  const service = serviceAuthentication(isRootKey, services);
  const serviceKeys = new ServiceKeys(database, audit, changes, config.apiKeyPrefix);
  return {
    service,
    isRootKey,
    isServiceKey: serviceKeyTest(isRootKey, services),
    endpoints: serviceKeyEndpoints(serviceKeys, service),
    cache: services.cache,
  };
}
