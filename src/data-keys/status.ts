import type { Database } from '../database/database.ts';
import type { Keyring } from '../encryption/keyring.ts';
import { countByMasterKey } from './data-key-store.ts';
import { countDataKeys, type DataKeyFacts, listDataKeysOf } from './rotation-store.ts';
import type { SealedColumn } from './sealed-column.ts';

/** `unknown`: data keys name it, and it is neither current nor accepted. */
export type MasterKeyRole = 'current' | 'accepted' | 'unknown';

export interface MasterKeyUse {
  id: string;
  role: MasterKeyRole;
  /** Data keys that it wraps. */
  dataKeys: number;
}

export interface EncryptionStatus {
  /** The current one first, then the accepted ones as they were given, then those that are unknown. */
  masterKeys: MasterKeyUse[];
  dataKeys: { current: number; retired: number };
  /** Sealed values, by whether the data key that sealed them is retired. */
  secrets: { current: number; retired: number };
}

/** What holds what, as the database says it; nothing is opened. */
export async function encryptionStatus(
  database: Database,
  keyring: Keyring,
  columns: readonly SealedColumn[],
): Promise<EncryptionStatus> {
  const counts = new Map(
    (await database.query(countByMasterKey)).map(({ masterKeyId, count }) => [masterKeyId, count]),
  );
  const known = [keyring.current, ...keyring.accepted];
  const unknown = [...counts.keys()].filter((id) => !keyring.knows(id));
  const secrets = { current: 0, retired: 0 };
  for (const column of columns) {
    const { current, retired } = await database.query((queries) => column.total(queries));
    secrets.current += current;
    secrets.retired += retired;
  }
  return {
    masterKeys: [
      ...known.map(({ id }) => ({ id, role: id === keyring.current.id ? 'current' : 'accepted' }) as const),
      ...unknown.map((id) => ({ id, role: 'unknown' }) as const),
    ].map((key) => ({ ...key, dataKeys: counts.get(key.id) ?? 0 })),
    dataKeys: await database.query(countDataKeys),
    secrets,
  };
}

/** An organisation's data keys, the oldest first, and how many secrets each holds. */
export async function dataKeysOf(
  database: Database,
  organizationId: string,
  columns: readonly SealedColumn[],
): Promise<(DataKeyFacts & { secrets: number })[]> {
  const dataKeys = await database.query((queries) => listDataKeysOf(queries, organizationId));
  const secrets = new Map<string, number>();
  const ids = dataKeys.map(({ id }) => id);
  for (const column of columns) {
    const counts = ids.length === 0 ? [] : await database.query((queries) => column.count(queries, ids));
    for (const { dataKeyId, count } of counts) secrets.set(dataKeyId, (secrets.get(dataKeyId) ?? 0) + count);
  }
  return dataKeys.map((dataKey) => ({ ...dataKey, secrets: secrets.get(dataKey.id) ?? 0 }));
}
