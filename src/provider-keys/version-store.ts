import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { providerKeys, providerKeyVersions } from '../database/schema/index.ts';
import type { KeyState } from './key-state.ts';
import type { Owner } from './owner.ts';
import { ownedBy } from './provider-key-store.ts';

/** The row of a key, locked until the transaction ends. */
export interface LockedRow {
  id: string;
  /** The newest version there ever was; 0 before the first. */
  version: number;
  deletedAt: Date | null;
}

export interface VersionToStore {
  version: number;
  dataKeyId: string;
  sealed: Buffer;
  state: KeyState;
  /** How many versions are kept from now on, this one included. */
  keeps: number;
}

/**
 * Finds or makes the row, and locks it: two saves for one provider happen one after the other. The insert gives way to
 * a concurrent one, which the second look then waits for.
 */
export async function lockRow(
  queries: Queries,
  row: { id: string; organizationId: string | null; provider: string },
): Promise<LockedRow> {
  const look = () =>
    queries
      .select({ id: providerKeys.id, version: providerKeys.version, deletedAt: providerKeys.deletedAt })
      .from(providerKeys)
      .where(and(ownedBy(queries, row), eq(providerKeys.provider, row.provider)))
      .for('no key update');
  const [found] = await look();
  if (found !== undefined) return found;
  await queries.insert(providerKeys).values(row).onConflictDoNothing();
  const [made] = await look();
  if (made === undefined) throw new Error('A provider key row is missing right after it was made');
  return made;
}

/** Stores the next version and destroys those that are too old by then, in one statement. */
export async function storeVersion(
  queries: Queries,
  row: LockedRow,
  { version, dataKeyId, sealed, state, keeps }: VersionToStore,
): Promise<void> {
  const createdAt = isLive(row) ? sql`created_at` : sql`now()`;
  await queries.execute(sql`
    with stored as (
      insert into ${providerKeyVersions} (provider_key_id, version, data_key_id, sealed, status, last_checked_at)
      values (${row.id}, ${version}, ${dataKeyId}, ${sealed}, ${state.status}, ${state.lastCheckedAt?.toISOString() ?? null})
    ), destroyed as (
      delete from ${providerKeyVersions} where provider_key_id = ${row.id} and version <= ${version - keeps}
    )
    update ${providerKeys} set version = ${version}, updated_at = now(), created_at = ${createdAt}, deleted_at = null
    where id = ${row.id}`);
}

/** Whether the row holds a secret. */
export function isLive(row: LockedRow): boolean {
  return row.version > 0 && row.deletedAt === null;
}

/** What is known of a version of a locked row; undefined when it is not kept any more. */
export async function findState(queries: Queries, row: LockedRow, version: number): Promise<KeyState | undefined> {
  const [state] = await queries
    .select({ status: providerKeyVersions.status, lastCheckedAt: providerKeyVersions.lastCheckedAt })
    .from(providerKeyVersions)
    .where(and(eq(providerKeyVersions.providerKeyId, row.id), eq(providerKeyVersions.version, version)));
  return state;
}

/**
 * Destroys the secret in every version and keeps the row; also one that was hidden because its organisation has ended, and
 * would come back with it. Null when there was none.
 */
export async function destroySecret(
  queries: Queries,
  owner: Owner,
  provider: string,
): Promise<{ id: string; organizationId: string | null; version: number } | null> {
  const [row] = await queries
    .select({ id: providerKeys.id, organizationId: providerKeys.organizationId, version: providerKeys.version })
    .from(providerKeys)
    .where(and(ownedBy(queries, owner), eq(providerKeys.provider, provider)))
    .for('no key update');
  if (row === undefined) return null;
  // Asked once the row is locked: whoever destroyed it meanwhile has left none.
  const { rowCount } = await queries.delete(providerKeyVersions).where(eq(providerKeyVersions.providerKeyId, row.id));
  if (rowCount === 0) return null;
  await queries
    .update(providerKeys)
    .set({ deletedAt: sql`now()`, updatedAt: sql`now()` })
    .where(eq(providerKeys.id, row.id));
  return row;
}
