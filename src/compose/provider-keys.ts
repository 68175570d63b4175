import type { Audit } from '../audit/audit.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { Config } from '../config/config.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { ClientAuthentication, Endpoint, ServiceAuthentication } from '../http/endpoint.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { providerKeyEndpoints } from '../provider-keys/endpoints.ts';
import { holderEndpoint } from '../provider-keys/holder-endpoint.ts';
import { KeyOpener } from '../provider-keys/key-opener.ts';
import { KeySources } from '../provider-keys/key-sources.ts';
import { KeyStates } from '../provider-keys/key-states.ts';
import { KeyVersions } from '../provider-keys/key-versions.ts';
import { platformKeyEndpoints } from '../provider-keys/platform-endpoints.ts';
import { ProviderKeys } from '../provider-keys/provider-keys.ts';
import { RecordedReveals } from '../provider-keys/recorded-reveals.ts';
import type { SealedKey } from '../provider-keys/sealed-key.ts';
import { sourceEndpoints } from '../provider-keys/source-endpoints.ts';
import { stateEndpoints } from '../provider-keys/state-endpoints.ts';
import { versionEndpoints } from '../provider-keys/version-endpoints.ts';
import { providerEndpoints } from '../providers/endpoints.ts';
import { type ProviderChecker, providerChecker } from '../providers/provider-checker.ts';
import type { RevealGate } from '../reveal-freezes/reveal-gate.ts';
import type { LastUsed } from '../usage/last-used.ts';
import type { Share } from './shares.ts';

export interface ComposedProviderKeys {
  /** What the holders of API keys ask. */
  holdersEndpoints: Endpoint[];
  /** What services ask. */
  endpoints: Endpoint[];
  cache: LeasedCache<SealedKey>;
}

/** Provider keys, customers' and the platform's, with the providers that are asked about them. */
export function composeProviderKeys({
  config,
  database,
  audit,
  changes,
  dataKeys,
  gate,
  lastUsed,
  share,
  checker: givenChecker,
  client,
  service,
  logger,
  metrics,
}: {
  config: Config;
  database: Database;
  audit: Audit;
  changes: Changes;
  dataKeys: DataKeys;
  gate: RevealGate;
  lastUsed: LastUsed;
  share: Share;
  /** In place of the real one. */
  checker: ProviderChecker | undefined;
  client: ClientAuthentication;
  service: ServiceAuthentication;
  logger: Logger;
  metrics: Metrics;
}): ComposedProviderKeys {
  const opener = new KeyOpener(dataKeys, (facts) => {
    metrics.unreadableSecrets.inc();
    logger.error(facts, 'a stored provider key does not open');
  });
  const reveals = new RecordedReveals(audit, opener, gate);
  const providerKeys = new ProviderKeys({ database, audit, changes, ...share, opener, reveals, lastUsed });
  const checker = givenChecker ?? toldChecker(config.providerBaseUrls, logger, metrics);
  const versions = new KeyVersions({ database, audit, changes, dataKeys, opener, checker });
  const states = new KeyStates({ database, audit, reveals, checker });
  return {
    holdersEndpoints: [holderEndpoint(providerKeys, client)],
    endpoints: [
      ...providerKeyEndpoints(providerKeys, versions, service),
      ...versionEndpoints(versions, service),
      ...stateEndpoints(states, service),
      ...sourceEndpoints(new KeySources({ database, audit, changes }), service),
      ...platformKeyEndpoints({ providerKeys, versions, states }, service),
      ...providerEndpoints(service),
    ],
    cache: providerKeys.cache,
  };
}

/** The real one, joined with what it tells to the log and to the metrics. */
function toldChecker(baseUrls: Config['providerBaseUrls'], logger: Logger, metrics: Metrics): ProviderChecker {
  return providerChecker({
    baseUrls,
    onChecked({ outcome, ...facts }) {
      metrics.providerChecks.inc({ outcome });
      if (outcome === 'unreachable') logger.warn(facts, 'a provider could not say whether a key is good');
      if (outcome === 'busy') logger.warn(facts, 'a provider was not asked about a key: too many checks at once');
    },
  });
}
