import { and, eq, ne } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { providerKeyVersions } from '../database/schema/index.ts';
import type { KeyState, KeyStatus } from './key-state.ts';

/** Stores what is known of one version, and of no other. @returns whether that version is kept still */
export async function storeState(
  queries: Queries,
  { id, version }: { id: string; version: number },
  { status, lastCheckedAt }: KeyState,
): Promise<boolean> {
  const stored = await queries
    .update(providerKeyVersions)
    .set({ status, lastCheckedAt })
    .where(and(eq(providerKeyVersions.providerKeyId, id), eq(providerKeyVersions.version, version)))
    .returning({ version: providerKeyVersions.version });
  return stored.length > 0;
}

/** Changes the status of one version alone, and writes nothing where it is that already. @returns whether it was not */
export async function storeStatus(
  queries: Queries,
  { id, version }: { id: string; version: number },
  status: KeyStatus,
): Promise<boolean> {
  const changed = await queries
    .update(providerKeyVersions)
    .set({ status })
    .where(
      and(
        eq(providerKeyVersions.providerKeyId, id),
        eq(providerKeyVersions.version, version),
        ne(providerKeyVersions.status, status),
      ),
    )
    .returning({ version: providerKeyVersions.version });
  return changed.length > 0;
}
