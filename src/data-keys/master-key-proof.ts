import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { Keyring } from '../encryption/keyring.ts';
import { MasterKeyUnavailable } from '../encryption/master-key-unavailable.ts';
import { ServiceError } from '../errors.ts';
import { countByMasterKey, findSystemKey, insertUnlessPresent } from './data-key-store.ts';
import type { DataKeys } from './data-keys.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

/** The master keys do not open what the database holds. Safe to print: fingerprints and counts. */
export class MasterKeyMismatch extends Error {
  override readonly name = 'MasterKeyMismatch';
}

/**
 * `unreachable`: its keeper cannot be asked just now, which proves nothing against it; `refused`: it was asked, and will
 * not use the key.
 */
export type MasterKeyState = 'proven' | 'unreachable' | 'refused';

/** At start a master key that is far away has the time that a first question may take: a login, a TLS handshake. */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 200;

/**
 * Proves at start that the master keys open this database: makes the `system` data key on an empty one, else opens it, and
 * finds no data key that names a master key which is not here. A current master key that the database has never seen is
 * as good as any, as long as the accepted ones open what is there.
 *
 * @throws MasterKeyMismatch
 * @throws ServiceError `encryption_unavailable` where the database is empty and the master key out of reach
 */
export async function proveMasterKeys(
  database: Database,
  dataKeys: DataKeys,
): Promise<Exclude<MasterKeyState, 'refused'>> {
  const { keyring } = dataKeys;
  await database.query((queries) => refuseUnknownMasterKeys(queries, keyring));
  if ((await database.query(findSystemKey)) === undefined) {
    const fresh = await dataKeys.make(null, PATIENCE_MS);
    await database.query((queries) => insertUnlessPresent(queries, fresh));
    // Another replica may have been first, with another master key.
    await database.query((queries) => refuseUnknownMasterKeys(queries, keyring));
  }
  const system = await database.query(findSystemKey);
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const state = await opensSystemKey(dataKeys, system);
    if (state === 'refused') {
      throw new MasterKeyMismatch(
        `ENCRYPTION_KEY (${namesOf(keyring)}) may not be used: its keeper refuses. Does the key exist, is it enabled, ` +
          'and may this service use it to encrypt and decrypt?',
      );
    }
    if (state === 'proven' || performance.now() > deadline) return state;
    await sleep(PAUSE_MS);
  }
}

/**
 * Proves that new data keys may be made beside running replicas: the master keys open all there is, and the current one has
 * wrapped some of it already. One that nobody has wrapped with may be one that no replica has.
 *
 * @throws MasterKeyMismatch
 */
export async function proveMasterKeyInUse(database: Database, keyring: Keyring): Promise<void> {
  await database.query((queries) => refuseUnknownMasterKeys(queries, keyring));
  const used = await database.query(countByMasterKey);
  if (used.some(({ masterKeyId }) => masterKeyId === keyring.current.id)) return;
  throw new MasterKeyMismatch(
    `ENCRYPTION_KEY (${namesOf(keyring)}) wraps no data key yet. Have every replica accept it and run ` +
      '`key-service encryption rotate` first; nothing was changed.',
  );
}

/** What `opensSystemKey` is to open. One read, for readiness. */
export const readSystemKey: (queries: Queries) => Promise<WrappedDataKey | undefined> = findSystemKey;

/** The same proof of one data key alone. @throws MasterKeyMismatch */
export async function opensSystemKey(dataKeys: DataKeys, system: WrappedDataKey | undefined): Promise<MasterKeyState> {
  if (system === undefined)
    throw new MasterKeyMismatch('The database has no system data key: is it another database than at start?');
  try {
    await dataKeys.unwrap(system);
    return 'proven';
  } catch (error) {
    if (error instanceof DecryptionError) {
      throw new MasterKeyMismatch(
        `ENCRYPTION_KEY (${namesOf(dataKeys.keyring)}) does not open the system data key (${error.reason}): ` +
          'the row was altered or belongs to another database. Restore data_keys from a backup.',
      );
    }
    if (!(error instanceof ServiceError) || error.code !== 'encryption_unavailable') throw error;
    return error.cause instanceof MasterKeyUnavailable && error.cause.isRefusal ? 'refused' : 'unreachable';
  }
}

async function refuseUnknownMasterKeys(queries: Queries, keyring: Keyring): Promise<void> {
  const unknown = (await countByMasterKey(queries)).filter(({ masterKeyId }) => !keyring.knows(masterKeyId));
  if (unknown.length === 0) return;
  const needed = unknown.map(({ masterKeyId, count }) => `${count} data key(s) need ${masterKeyId}`).join(', ');
  throw new MasterKeyMismatch(
    `ENCRYPTION_KEY is not the key that this database was encrypted with: it has the ${namesOf(keyring)}, but ` +
      `${needed}. Start with the right key, or name the missing one in ENCRYPTION_KEYS_ACCEPTED; nothing was changed.`,
  );
}

function namesOf({ current, accepted }: Keyring): string {
  if (accepted.length === 0) return `fingerprint ${current.id}`;
  return `fingerprint ${current.id}, and beside it are accepted ${accepted.map(({ id }) => id).join(', ')}`;
}
