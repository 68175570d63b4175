import { and, desc, eq, gt, isNotNull, isNull, lte, or, type SQL, sql } from 'drizzle-orm';
import { olderThan } from '../database/older-than.ts';
import type { Queries } from '../database/queries.ts';
import { apiKeys, apiKeyUses, organizations } from '../database/schema/index.ts';
import type { Environment } from '../key-format.ts';
import type { ListPosition } from '../paging.ts';
import type { ApiKeyStatus, UsedApiKey } from './api-key.ts';
import { columnsWithUse } from './api-key-store.ts';

/** Which keys of an organisation are meant; what is undefined leaves out none. */
export interface ApiKeyFilter {
  /** Any of them; undefined: all but the revoked. */
  statuses?: readonly ApiKeyStatus[] | undefined;
  environment?: Environment | undefined;
  /** The start of the name, in upper and lower case as it is. */
  namePrefix?: string | undefined;
  /** The instant that expiry is judged at. */
  at: Date;
}

function fits({ statuses, environment, namePrefix, at }: ApiKeyFilter): SQL | undefined {
  return and(
    statuses === undefined ? isNull(apiKeys.revokedAt) : or(...statuses.map((status) => hasStatus(status, at))),
    environment === undefined ? undefined : eq(apiKeys.environment, environment),
    namePrefix === undefined ? undefined : sql`starts_with(${apiKeys.name}, ${namePrefix})`,
  );
}

/** The same as `apiKeyStatus`, in the same order. */
function hasStatus(status: ApiKeyStatus, at: Date): SQL | undefined {
  if (status === 'revoked') return isNotNull(apiKeys.revokedAt);
  if (status === 'expired') return and(isNull(apiKeys.revokedAt), lte(apiKeys.expiresAt, at));
  return and(
    isNull(apiKeys.revokedAt),
    or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, at)),
    eq(apiKeys.enabled, status === 'active'),
  );
}

export async function listApiKeys(
  queries: Queries,
  clerkOrgId: string,
  filter: ApiKeyFilter,
  { after, limit }: { after: ListPosition | null; limit: number },
): Promise<UsedApiKey[]> {
  return queries
    .select(columnsWithUse)
    .from(apiKeys)
    .leftJoin(apiKeyUses, eq(apiKeyUses.id, apiKeys.id))
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .where(
      and(
        eq(organizations.clerkOrgId, clerkOrgId),
        fits(filter),
        after === null ? undefined : olderThan(apiKeys, after),
      ),
    )
    .orderBy(desc(apiKeys.createdAt), desc(apiKeys.id))
    .limit(limit);
}
