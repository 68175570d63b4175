import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import { olderThan } from '../database/older-than.ts';
import type { Queries } from '../database/queries.ts';
import { serviceKeys, serviceKeyUses } from '../database/schema/index.ts';
import type { ListPosition } from '../paging.ts';
import type { KnownServiceKey, ServiceKey, UsedServiceKey } from './service-key.ts';

/** Everything about a key but its hash. */
const columns = {
  id: serviceKeys.id,
  name: serviceKeys.name,
  keyPrefix: serviceKeys.keyPrefix,
  last4: serviceKeys.last4,
  permissions: serviceKeys.permissions,
  revealProviders: serviceKeys.revealProviders,
  expiresAt: serviceKeys.expiresAt,
  createdAt: serviceKeys.createdAt,
  revokedAt: serviceKeys.revokedAt,
};

export type ServiceKeyToInsert = Omit<ServiceKey, 'createdAt' | 'revokedAt'> & { keyHash: Buffer };

export async function insertServiceKey(queries: Queries, key: ServiceKeyToInsert): Promise<ServiceKey> {
  const [row] = await queries.insert(serviceKeys).values(key).returning(columns);
  if (row === undefined) throw new Error('INSERT … RETURNING returned nothing');
  return row;
}

/** A key as it was found by its hash. */
export interface FoundServiceKey extends KnownServiceKey {
  keyHash: Buffer;
}

/** Finds keys by their hashes: for every request with a service key that memory does not know. */
export function prepareFindServiceKeys(database: Database): (keyHashes: Buffer[]) => Promise<FoundServiceKey[]> {
  const find = database.prepare('service_keys_by_hash', (queries) =>
    queries
      .select({
        keyHash: serviceKeys.keyHash,
        id: serviceKeys.id,
        name: serviceKeys.name,
        permissions: serviceKeys.permissions,
        revealProviders: serviceKeys.revealProviders,
        expiresAt: serviceKeys.expiresAt,
        revokedAt: serviceKeys.revokedAt,
      })
      .from(serviceKeys)
      .where(sql`${serviceKeys.keyHash} = any(${sql.placeholder('keyHashes')}::bytea[])`),
  );
  return (keyHashes) => find({ keyHashes });
}

export async function listServiceKeys(
  queries: Queries,
  { includeRevoked, after, limit }: { includeRevoked: boolean; after: ListPosition | null; limit: number },
): Promise<UsedServiceKey[]> {
  return queries
    .select({ ...columns, lastUsedAt: serviceKeyUses.lastUsedAt })
    .from(serviceKeys)
    .leftJoin(serviceKeyUses, eq(serviceKeyUses.id, serviceKeys.id))
    .where(
      and(
        includeRevoked ? undefined : isNull(serviceKeys.revokedAt),
        after === null ? undefined : olderThan(serviceKeys, after),
      ),
    )
    .orderBy(desc(serviceKeys.createdAt), desc(serviceKeys.id))
    .limit(limit);
}

export interface RevokedServiceKey {
  name: string;
  keyHash: Buffer;
  /** It was not revoked before. */
  changed: boolean;
}

/** Revokes for good; a second time changes nothing. Undefined when there is no such key. */
export async function revokeServiceKey(queries: Queries, id: string): Promise<RevokedServiceKey | undefined> {
  const which = eq(serviceKeys.id, id);
  const found = { name: serviceKeys.name, keyHash: serviceKeys.keyHash };
  const [revoked] = await queries
    .update(serviceKeys)
    .set({ revokedAt: sql`now()` })
    .where(and(which, isNull(serviceKeys.revokedAt)))
    .returning(found);
  if (revoked !== undefined) return { ...revoked, changed: true };
  const [before] = await queries.select(found).from(serviceKeys).where(which);
  return before && { ...before, changed: false };
}
