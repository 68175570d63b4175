import { and, eq, isNull, ne, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { organizations, providerKeySources } from '../database/schema/index.ts';

/** A source that has a row; the organisation's own key has none. */
export type StoredSource = 'platform' | 'own-then-platform';

/** Of an organisation that lives: one that has ended is handed nothing of anybody's. */
export async function findSource(
  queries: Queries,
  clerkOrgId: string,
  provider: string,
): Promise<StoredSource | undefined> {
  const [row] = await queries
    .select({ source: providerKeySources.source })
    .from(providerKeySources)
    .innerJoin(organizations, eq(organizations.id, providerKeySources.organizationId))
    .where(
      and(
        eq(organizations.clerkOrgId, clerkOrgId),
        isNull(organizations.endedAt),
        eq(providerKeySources.provider, provider),
      ),
    );
  return row?.source;
}

/** @returns whether it is another one than before */
export async function storeSource(
  queries: Queries,
  row: { organizationId: string; provider: string; source: StoredSource },
): Promise<boolean> {
  const { source } = row;
  const changed = await queries
    .insert(providerKeySources)
    .values(row)
    .onConflictDoUpdate({
      target: [providerKeySources.organizationId, providerKeySources.provider],
      set: { source, updatedAt: sql`now()` },
      setWhere: ne(providerKeySources.source, source),
    })
    .returning({ provider: providerKeySources.provider });
  return changed.length > 0;
}

/** @returns whether there was one */
export async function removeSource(
  queries: Queries,
  { organizationId, provider }: { organizationId: string; provider: string },
): Promise<boolean> {
  const { rowCount } = await queries
    .delete(providerKeySources)
    .where(and(eq(providerKeySources.organizationId, organizationId), eq(providerKeySources.provider, provider)));
  return rowCount !== 0;
}
