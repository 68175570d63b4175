import { ApiKeys } from '../api-keys/api-keys.ts';
import { apiKeyChangeEndpoints } from '../api-keys/change-endpoints.ts';
import { DefaultKeys } from '../api-keys/default-keys.ts';
import { apiKeyEndpoints } from '../api-keys/endpoints.ts';
import { keyImportEndpoint } from '../api-keys/import-endpoints.ts';
import { KeyCopies } from '../api-keys/key-copies.ts';
import { KeyImports } from '../api-keys/key-imports.ts';
import { KeyRecoveries } from '../api-keys/key-recoveries.ts';
import { KeyRotations } from '../api-keys/key-rotations.ts';
import { KeyTrouble } from '../api-keys/key-trouble.ts';
import { KeyUpdates } from '../api-keys/key-updates.ts';
import { recoveryEndpoint, sessionEndpoint } from '../api-keys/recovery-endpoints.ts';
import { keyTroubleEndpoints } from '../api-keys/trouble-endpoints.ts';
import type { Audit } from '../audit/audit.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { Clerk } from '../clerk/clerk.ts';
import type { Config } from '../config/config.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { ClientAuthentication, Endpoint, ServiceAuthentication } from '../http/endpoint.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { RateLimits } from '../rate-limits/rate-limits.ts';
import type { RevealGate } from '../reveal-freezes/reveal-gate.ts';
import type { KeyUsage } from '../usage/key-usage.ts';
import { Admissions } from '../validation/admissions.ts';
import { BatchValidation } from '../validation/batch.ts';
import { batchValidationEndpoint } from '../validation/batch-endpoints.ts';
import { clientAuthentication, ownerAuthentication } from '../validation/client-authentication.ts';
import type { ServiceKeyTest } from '../validation/client-origin.ts';
import { validationEndpoint } from '../validation/endpoints.ts';
import { Guessing } from '../validation/guessing.ts';
import type { KeyHolder } from '../validation/key-holder.ts';
import type { KnownKey } from '../validation/known-key.ts';
import { selfEndpoints } from '../validation/self-endpoints.ts';
import { Uses } from '../validation/uses.ts';
import { KeyValidation } from '../validation/validation.ts';
import type { Shares } from './shares.ts';

export interface ComposedApiKeys {
  /** How the holder of an API key is known. */
  client: ClientAuthentication<KeyHolder>;
  /** What the holders of keys ask. */
  holdersEndpoints: Endpoint[];
  /** What services ask. */
  endpoints: Endpoint[];
  cache: LeasedCache<KnownKey>;
}

/** API keys, from their issue to their end, and the validation that every request of their holders passes. */
export function composeApiKeys({
  config,
  database,
  audit,
  changes,
  clerk,
  dataKeys,
  gate,
  service,
  isServiceKey,
  rateLimits,
  usage,
  share,
  logger,
  metrics,
}: {
  config: Config;
  database: Database;
  audit: Audit;
  changes: Changes;
  clerk: Clerk;
  dataKeys: DataKeys;
  gate: RevealGate;
  service: ServiceAuthentication;
  isServiceKey: ServiceKeyTest;
  rateLimits: RateLimits;
  usage: KeyUsage;
  share: Shares['apiKeys'];
  logger: Logger;
  metrics: Metrics;
}): ComposedApiKeys {
  const validation = new KeyValidation({
    database,
    changes,
    membership: clerk.membership,
    membershipLimitMs: config.clerk.timeoutMs + 1_000,
    usage,
    prefix: config.apiKeyPrefix,
    guessing: guessingOf(config, metrics),
    cacheMaxBytes: share.cacheMaxBytes,
    lookUpsAtOnce: share.lookUpsAtOnce,
  });
  const admissions = new Admissions({ usage, rateLimits, uses: new Uses(database, share.usesAtOnce) });
  const client = clientAuthentication(validation, admissions, isServiceKey);
  const copies = new KeyCopies(dataKeys);
  const recoveries = new KeyRecoveries({
    database,
    audit,
    dataKeys,
    gate,
    onUnreadable(facts) {
      metrics.unreadableSecrets.inc();
      logger.error(facts, 'the copy of an API key does not open');
    },
  });
  const shared = { database, audit, changes, copies, prefix: config.apiKeyPrefix };
  const apiKeys = new ApiKeys(shared);
  const updates = new KeyUpdates(audit, changes);
  const rotations = new KeyRotations(shared);
  const defaultKeys = new DefaultKeys({ ...shared, recoveries });
  const trouble = new KeyTrouble({ database, audit, changes, prefix: config.apiKeyPrefix });
  return {
    client,
    holdersEndpoints: [validationEndpoint(validation, admissions, client)],
    endpoints: [
      keyImportEndpoint(new KeyImports(audit, changes), service),
      ...selfEndpoints(apiKeys, client, ownerAuthentication(validation, isServiceKey)),
      batchValidationEndpoint(
        new BatchValidation(validation, admissions, (outcome) => metrics.validations.inc({ outcome })),
        service,
      ),
      sessionEndpoint(defaultKeys, service),
      ...apiKeyEndpoints(apiKeys, service),
      recoveryEndpoint(recoveries, service),
      ...apiKeyChangeEndpoints({ updates, rotations }, service),
      ...keyTroubleEndpoints(trouble, service),
    ],
    cache: validation.cache,
  };
}

/** null: nobody is slowed down. */
function guessingOf({ guessing }: Config, metrics: Metrics): Guessing | null {
  if (guessing.limit === 0) return null;
  return new Guessing({ ...guessing, onRefused: () => metrics.guessesRefused.inc() });
}
