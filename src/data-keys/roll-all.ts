import { ServiceError } from '../errors.ts';
import type { OwnerId } from './data-key-store.ts';
import { proveMasterKeyInUse } from './master-key-proof.ts';
import { type RollOptions, type RollResult, rollDataKey } from './roll.ts';
import { countOwners, databaseTime, listOrganizations } from './roll-store.ts';

export interface RollAllOptions extends Omit<RollOptions, 'madeBefore'> {
  /** One organisation alone, by its row id. */
  organizationId?: string;
  /** Left out: now, by the database's clock. */
  madeBefore?: Date;
  /** Told of how many owners there are, and from when on a data key is new enough, before the first. */
  onBegin: (owners: number, madeBefore: Date) => void;
  /** Told after each batch of how many owners it has done. */
  onBatch: (owners: number) => void;
}

export interface RollAllResult extends RollResult {
  owners: number;
}

/**
 * Rolls the data keys of one organisation, or of all that have one and of what belongs to none.
 *
 * @throws MasterKeyMismatch before anything is changed; what `rollDataKey` throws
 */
export async function rollDataKeys(options: RollAllOptions): Promise<RollAllResult> {
  const { database, dataKeys, organizationId, onBegin, onBatch } = options;
  await proveMasterKeyInUse(database, dataKeys.keyring);
  const madeBefore = options.madeBefore ?? (await database.query(databaseTime));
  const result: RollAllResult = { owners: 0, resealed: 0, removed: 0, unreadable: [] };
  onBegin(organizationId === undefined ? 1 + (await database.query(countOwners)) : 1, madeBefore);
  for await (const owners of batches(options)) {
    for (const owner of owners) {
      const { resealed, removed, unreadable } = await rollUnlessDestroyed({ ...options, madeBefore }, owner);
      result.owners += 1;
      result.resealed += resealed;
      result.removed += removed;
      result.unreadable.push(...unreadable);
    }
    onBatch(owners.length);
  }
  return result;
}

/** An organisation may be destroyed meanwhile: nothing of it is left then, and the others go on. */
async function rollUnlessDestroyed(options: RollOptions, owner: OwnerId): Promise<RollResult> {
  try {
    return await rollDataKey(options, owner);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'organization_deleted') throw error;
    return { resealed: 0, removed: 0, unreadable: [] };
  }
}

async function* batches({ database, organizationId, batchSize }: RollAllOptions): AsyncGenerator<OwnerId[]> {
  if (organizationId !== undefined) return yield [organizationId];
  yield [null];
  let after: string | null = null;
  for (;;) {
    const organizations: string[] = await database.query((queries) => listOrganizations(queries, after, batchSize));
    after = organizations.at(-1) ?? null;
    if (after === null) return undefined;
    yield organizations;
  }
}
