import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { Keyring } from '../encryption/keyring.ts';
import { MasterKeyUnavailable } from '../encryption/master-key-unavailable.ts';
import { ServiceError } from '../errors.ts';
import {
  countByMasterKey,
  findAuditKey,
  findOneOfEachMasterKey,
  findSystemKey,
  insertUnlessPresent,
} from './data-key-store.ts';
import type { DataKeys } from './data-keys.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

/** The master keys do not open what the database holds, or may not be used. Safe to print: fingerprints and counts. */
export class MasterKeyMismatch extends Error {
  override readonly name = 'MasterKeyMismatch';
}

/** At start a master key that is far away has the time that a first question may take: a login, a TLS handshake. */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 200;

/**
 * Proves at start that the master keys open this database: makes the `system` and the `audit` data key where they are
 * missing, opens them, and finds no data key that names a master key which is not here. A current master key that the database has never seen is
 * as good as any, as long as the accepted ones open what is there. Of each master key in use one data key is opened, and
 * what the current one wraps, so that a keeper which refuses is found out now.
 *
 * @returns null; or why a master key cannot be asked just now, which proves nothing against it
 * @throws MasterKeyMismatch
 */
export async function proveMasterKeys(database: Database, dataKeys: DataKeys): Promise<string | null> {
  const { keyring } = dataKeys;
  await database.query((queries) => refuseUnknownMasterKeys(queries, keyring));
  if ((await database.query(findSystemKey)) === undefined) {
    const fresh = await makeFirst(dataKeys);
    await database.query((queries) => insertUnlessPresent(queries, fresh));
    // Another replica may have been first, with another master key.
    await database.query((queries) => refuseUnknownMasterKeys(queries, keyring));
  }
  const system = await database.query(findSystemKey);
  const deadline = performance.now() + PATIENCE_MS;
  let away = await patiently(deadline, () => opensSystemKey(dataKeys, system));
  const samples = (await database.query(findOneOfEachMasterKey)).filter(
    (row) => row.masterKeyId !== system?.masterKeyId,
  );
  for (const sample of samples) away ??= await patiently(deadline, () => answersFor(dataKeys, sample));
  if (![system, ...samples].some((row) => row?.masterKeyId === keyring.current.id)) {
    away ??= await patiently(deadline, () => wrapsAndOpens(dataKeys));
  }
  away ??= await patiently(deadline, () => makesOrOpensAuditKey(database, dataKeys));
  return away?.reason ?? null;
}

/** Where it cannot be made or opened just now, that is done when it is needed: see audit-keys.ts. */
async function makesOrOpensAuditKey(database: Database, dataKeys: DataKeys): Promise<MasterKeyUnavailable | null> {
  if ((await database.query(findAuditKey)) === undefined) {
    const made = dataKeys.makeForAudit();
    const away = await answer(made);
    if (away !== null) return away;
    const fresh = await made;
    await database.query((queries) => insertUnlessPresent(queries, fresh));
  }
  return opens(dataKeys, await database.query(findAuditKey), 'audit');
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

/**
 * The same proof of one data key alone.
 *
 * @returns null; or why its master key cannot be asked just now
 * @throws MasterKeyMismatch
 */
export function opensSystemKey(
  dataKeys: DataKeys,
  system: WrappedDataKey | undefined,
): Promise<MasterKeyUnavailable | null> {
  return opens(dataKeys, system, 'system');
}

async function opens(
  dataKeys: DataKeys,
  dataKey: WrappedDataKey | undefined,
  name: 'system' | 'audit',
): Promise<MasterKeyUnavailable | null> {
  if (dataKey === undefined)
    throw new MasterKeyMismatch(`The database has no ${name} data key: is it another database than at start?`);
  try {
    return await answer(dataKeys.unwrap(dataKey));
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    throw new MasterKeyMismatch(
      `ENCRYPTION_KEY (${namesOf(dataKeys.keyring)}) does not open the ${name} data key (${error.reason}): ` +
        'the row was altered or belongs to another database. Restore data_keys from a backup.',
    );
  }
}

/** Whether the master key of a data key can be asked; one that was altered is an answer. */
async function answersFor(dataKeys: DataKeys, dataKey: WrappedDataKey): Promise<MasterKeyUnavailable | null> {
  try {
    return await answer(dataKeys.unwrap(dataKey));
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    return null;
  }
}

function wrapsAndOpens(dataKeys: DataKeys): Promise<MasterKeyUnavailable | null> {
  return answer(dataKeys.make(null).then((dataKey) => dataKeys.unwrap(dataKey)));
}

async function makeFirst(dataKeys: DataKeys): Promise<WrappedDataKey> {
  const made = dataKeys.make(null, PATIENCE_MS);
  const away = await answer(made);
  if (away === null) return made;
  refuseRefusal(away);
  throw new MasterKeyMismatch(
    `ENCRYPTION_KEY (${namesOf(dataKeys.keyring)}) cannot be reached (${away.reason}), and the database is empty: its first ` +
      'data key has to be wrapped before anything can be stored.',
  );
}

/** Why a master key did not answer; null when it did. */
async function answer(work: unknown): Promise<MasterKeyUnavailable | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof ServiceError && error.cause instanceof MasterKeyUnavailable) return error.cause;
    throw error;
  }
}

/** Asks again until there is an answer or the time is up. A refusal is one. @throws MasterKeyMismatch */
async function patiently(
  deadline: number,
  ask: () => Promise<MasterKeyUnavailable | null>,
): Promise<MasterKeyUnavailable | null> {
  for (;;) {
    const away = await ask();
    if (away !== null) refuseRefusal(away);
    if (away === null || performance.now() > deadline) return away;
    await sleep(PAUSE_MS);
  }
}

function refuseRefusal({ isRefusal, reason }: MasterKeyUnavailable): void {
  if (!isRefusal) return;
  throw new MasterKeyMismatch(
    `A master key of ENCRYPTION_KEY or ENCRYPTION_KEYS_ACCEPTED may not be used: its keeper refuses (${reason}). Does the ` +
      'key exist, is it enabled, and may this service use it to encrypt and decrypt?',
  );
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
