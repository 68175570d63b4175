import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import type { DecryptionFailure } from '../encryption/decryption-error.ts';
import { type DataKey, open, seal } from '../encryption/sealed-secret.ts';
import type { OwnerId } from './data-key-store.ts';
import { DataKeyReplaced, type DataKeys, type SealingKey } from './data-keys.ts';
import type { RunRecorded } from './recorded.ts';
import { hasCurrentMadeBefore, listRetired, lockRetired, removeDataKeys, replaceCurrent } from './roll-store.ts';
import type { Resealed, SealedColumn, SealedValue } from './sealed-column.ts';
import { openedLater, opening, type Unreadable, workThrough } from './work-through.ts';

export interface RollOptions {
  database: Database;
  dataKeys: DataKeys;
  runRecorded: RunRecorded;
  columns: readonly SealedColumn[];
  /** A current data key that was made since is new enough. */
  madeBefore: Date;
  batchSize: number;
}

export interface RollResult {
  /** Values that were sealed anew. */
  resealed: number;
  /** Data keys that are no more. */
  removed: number;
  unreadable: Unreadable[];
}

/**
 * Gives an owner a new data key, seals with it whatever older ones sealed, and removes those that sealed nothing any more.
 * Saves and reveals go on meanwhile. A run that ends anywhere leaves everything readable, and the next one goes on.
 *
 * @throws ServiceError `encryption_unavailable`, `database_unavailable`
 * @throws StillBusy
 */
export async function rollDataKey(options: RollOptions, owner: OwnerId): Promise<RollResult> {
  const { columns, runRecorded } = options;
  await startWithNewDataKey(options, owner);
  const result: RollResult = { resealed: 0, removed: 0, unreadable: [] };
  for (const column of columns) {
    const { resealed, unreadable } = await reseal(options, owner, column);
    result.resealed += resealed;
    result.unreadable.push(...unreadable);
  }
  result.removed = await runRecorded(async (queries) => {
    const removed = await removeUnused(queries, owner, columns);
    const { resealed } = result;
    const details = { dataKeys: removed, resealed };
    const event = { organizationId: owner, action: 'data_keys.rolled', details } as const;
    return { result: removed.length, event: removed.length + resealed === 0 ? null : event };
  });
  return result;
}

/** @returns the ids of those that are no more */
async function removeUnused(queries: Queries, owner: OwnerId, columns: readonly SealedColumn[]): Promise<string[]> {
  const retired = await lockRetired(queries, owner);
  if (retired.length === 0) return [];
  const inUse = new Set<string>();
  for (const column of columns) {
    for (const { dataKeyId } of await column.count(queries, retired)) inUse.add(dataKeyId);
  }
  const unused = retired.filter((id) => !inUse.has(id));
  if (unused.length > 0) await removeDataKeys(queries, unused);
  return unused;
}

async function startWithNewDataKey({ database, dataKeys, madeBefore }: RollOptions, owner: OwnerId): Promise<void> {
  if (!(await database.query((queries) => hasCurrentMadeBefore(queries, owner, madeBefore)))) return;
  const fresh = await dataKeys.make(owner);
  await database.transaction((queries) => replaceCurrent(queries, owner, madeBefore, fresh));
}

async function reseal({ database, dataKeys, batchSize }: RollOptions, owner: OwnerId, column: SealedColumn) {
  const retired = new Map<string, DataKey | DecryptionFailure>();
  for (const wrapped of await database.query((queries) => listRetired(queries, owner))) {
    const found = await openedLater(dataKeys.unwrap(wrapped));
    retired.set(wrapped.id, 'value' in found ? found.value : found.reason);
  }
  if (retired.size === 0) return { resealed: 0, unreadable: [] };
  let resealed = 0;
  const failed = await workThrough({
    list: (after) => database.query((queries) => column.list(queries, [...retired.keys()], after, batchSize)),
    async work(values) {
      const { anew, sealing, unreadable } = await sealAnew(dataKeys, owner, retired, values);
      return { done: await store(database, dataKeys, column, anew, sealing), failed: unreadable };
    },
    onDone(count) {
      resealed += count;
    },
  });
  const unreadable = [...failed].map(([key, reason]) => ({ name: `${column.table} ${key}`, reason }));
  return { resealed, unreadable };
}

async function sealAnew(
  dataKeys: DataKeys,
  owner: OwnerId,
  retired: ReadonlyMap<string, DataKey | DecryptionFailure>,
  values: readonly SealedValue[],
) {
  const anew: Resealed[] = [];
  const sealing = new Map<string, SealingKey>();
  const unreadable = new Map<string, DecryptionFailure>();
  for (const { key, place, dataKeyId, sealed: before } of values) {
    const dataKey = retired.get(dataKeyId) ?? 'wrong_key';
    const found = typeof dataKey === 'string' ? { reason: dataKey } : opening(() => open(dataKey, place, before));
    if ('reason' in found) unreadable.set(key, found.reason);
    else {
      const fresh = await dataKeys.forSealing(owner);
      sealing.set(fresh.id, fresh);
      anew.push({ key, before, sealed: seal(fresh, place, found.value), dataKeyId: fresh.id });
    }
  }
  return { anew, sealing: [...sealing.values()], unreadable };
}

/** @returns how many were stored: none when a data key was replaced again meanwhile, which is for the next pass */
async function store(
  database: Database,
  dataKeys: DataKeys,
  column: SealedColumn,
  anew: readonly Resealed[],
  sealing: readonly SealingKey[],
): Promise<number> {
  if (anew.length === 0) return 0;
  try {
    return await database.transaction(async (queries) => {
      for (const key of sealing) await dataKeys.confirm(queries, key);
      return (await column.replace(queries, anew)).length;
    });
  } catch (error) {
    if (error instanceof DataKeyReplaced) return 0;
    throw error;
  }
}
