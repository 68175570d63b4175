import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeys } from '../database/schema/index.ts';
import type { ApiKey, ApiKeySettings } from './api-key.ts';
import { columns } from './api-key-store.ts';
import { setUsageLimit, type UsageLimitOfKey } from './usage-limit-store.ts';

/** A key that nobody else changes until the transaction ends. */
export interface LockedApiKey extends ApiKey, UsageLimitOfKey {
  organizationId: string;
  keyHash: Buffer;
}

export async function lockApiKey(
  queries: Queries,
  organizationId: string,
  id: string,
): Promise<LockedApiKey | undefined> {
  const [row] = await queries
    .select({
      ...columns,
      organizationId: apiKeys.organizationId,
      keyHash: apiKeys.keyHash,
      usageLimitId: apiKeys.usageLimitId,
      usageLimited: apiKeys.usageLimited,
    })
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), eq(apiKeys.organizationId, organizationId)))
    .for('no key update');
  return row;
}

/** Changes a key that is locked. Not from when the transaction began: it may have waited for another change. */
export async function updateApiKey(
  queries: Queries,
  key: LockedApiKey,
  { remainingUses, refill, ...changes }: Partial<ApiKeySettings>,
): Promise<void> {
  const isLimitChanged = remainingUses !== undefined || refill !== undefined;
  const limit = isLimitChanged ? await setUsageLimit(queries, key, { remainingUses, refill }) : {};
  await queries
    .update(apiKeys)
    .set({ ...changes, ...limit, updatedAt: sql`clock_timestamp()`, revision: sql`${apiKeys.revision} + 1` })
    .where(eq(apiKeys.id, key.id));
}

/**
 * Another key takes the place of one that is locked, which stops when its time of grace is over, or before if that is when
 * it would stop by itself. Without grace it is revoked: that is for good, and does not depend on anybody's clock.
 */
export async function markRotated(
  queries: Queries,
  id: string,
  { rotatedTo, graceSeconds }: { rotatedTo: string; graceSeconds: number },
): Promise<ApiKey> {
  const end =
    graceSeconds === 0
      ? { revokedAt: sql`clock_timestamp()` }
      : // LEAST leaves out what is null.
        { expiresAt: sql`least(${apiKeys.expiresAt}, clock_timestamp() + make_interval(secs => ${graceSeconds}))` };
  const [row] = await queries
    .update(apiKeys)
    .set({ ...end, rotatedTo, updatedAt: sql`clock_timestamp()`, revision: sql`${apiKeys.revision} + 1` })
    .where(eq(apiKeys.id, id))
    .returning(columns);
  if (row === undefined) throw new Error('An API key that is locked is not there');
  return row;
}
