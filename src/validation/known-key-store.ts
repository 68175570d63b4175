import { eq, sql } from 'drizzle-orm';
import type { ValidatedApiKey } from '../api-keys/api-key.ts';
import type { Database } from '../database/database.ts';
import { apiKeys, organizations, providerKeys } from '../database/schema/index.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';

/** A key as it was found by its hash. */
export interface FoundApiKey extends ValidatedApiKey {
  keyHash: Buffer;
}

/** Finds keys by their hashes: the one statement that runs for customers' own requests. */
export function prepareFindForValidation(database: Database): (keyHashes: Buffer[]) => Promise<FoundApiKey[]> {
  const find = database.prepare('api_keys_for_validation', (queries) =>
    queries
      .select({
        keyHash: apiKeys.keyHash,
        organizationId: organizations.id,
        clerkOrgId: organizations.clerkOrgId,
        suspended: sql<boolean>`${organizations.suspendedAt} is not null`,
        configuredProviders: sql<string[]>`array(
          select ${providerKeys.provider} from ${providerKeys}
          where ${providerKeys.organizationId} = ${organizations.id} and ${providerKeys.deletedAt} is null
          order by ${providerKeys.provider} collate "C")`,
        id: apiKeys.id,
        name: apiKeys.name,
        environment: apiKeys.environment,
        enabled: apiKeys.enabled,
        scopes: apiKeys.scopes,
        metadata: apiKeys.metadata,
        ipAllowList: apiKeys.ipAllowList,
        expiresAt: apiKeys.expiresAt,
        usageLimitId: sql<string | null>`case when ${apiKeys.usageLimited} then ${apiKeys.usageLimitId} end`,
        rateLimit: sql<RateLimit | null>`coalesce(${apiKeys.rateLimit}, ${organizations.rateLimit})`,
        // The end of an organisation revokes its keys, however many they are and whatever their rows say yet.
        revokedAt: sql<Date | null>`coalesce(${apiKeys.revokedAt}, ${organizations.endedAt})`.mapWith(
          apiKeys.revokedAt,
        ),
      })
      .from(apiKeys)
      .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
      .where(sql`${apiKeys.keyHash} = any(${sql.placeholder('keyHashes')}::bytea[])`),
  );
  return (keyHashes) => find({ keyHashes });
}
