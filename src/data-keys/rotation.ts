import pLimit from 'p-limit';
import type { Database } from '../database/database.ts';
import type { DecryptionFailure } from '../encryption/decryption-error.ts';
import type { Keyring } from '../encryption/keyring.ts';
import { answerWithin } from './opened-data-keys.ts';
import type { DataKeyEvent, RunRecorded } from './recorded.ts';
import { countWrappedByOthers, listWrappedByOthers, type Rewrapped, replaceWrapping } from './rotation-store.ts';
import { openedLater, type Unreadable, workThrough } from './work-through.ts';
import type { WrappedDataKey } from './wrapped-data-key.ts';

export interface RotationOptions {
  database: Database;
  keyring: Keyring;
  runRecorded: RunRecorded;
  batchSize: number;
  /** Told of how many there are to do, before the first. */
  onBegin: (total: number) => void;
  /** Told after each batch how many it has done. */
  onBatch: (count: number) => void;
}

export interface RotationResult {
  /** By this run; others may have done the rest. */
  rewrapped: number;
  unreadable: Unreadable[];
  /** That another master key wraps now: those that are unreadable, and those that were made meanwhile. */
  left: number;
}

/** Questions to a master key that is far away, at once. */
const AT_ONCE = 16;
/** Nobody waits for the answer but the person at the terminal. */
const WAITING_LIMIT_MS = 10_000;

/**
 * Wraps every data key with the current master key, while the service serves. The data keys stay the same, and so does
 * what they sealed. Each batch is one commit: a run that ends anywhere has done what it has done, and the next goes on.
 *
 * @throws ServiceError `encryption_unavailable`, `database_unavailable`
 * @throws StillBusy
 */
export async function rewrapDataKeys({
  database,
  keyring,
  runRecorded,
  batchSize,
  onBegin,
  onBatch,
}: RotationOptions): Promise<RotationResult> {
  const { id: masterKeyId } = keyring.current;
  onBegin(await database.query((queries) => countWrappedByOthers(queries, masterKeyId)));
  let rewrapped = 0;
  const failed = await workThrough({
    async list(after) {
      const rows = await database.query((queries) => listWrappedByOthers(queries, masterKeyId, after, batchSize));
      return rows.map((row) => ({ ...row, key: row.id }));
    },
    async work(items) {
      const { wraps, unreadable } = await rewrap(keyring, items);
      if (wraps.length === 0) return { done: 0, failed: unreadable };
      const done = await runRecorded(async (queries) => {
        const result = await replaceWrapping(queries, masterKeyId, wraps);
        return { result, event: result === 0 ? null : rewrappedEvent(masterKeyId, result) };
      });
      return { done, failed: unreadable };
    },
    onDone(count) {
      rewrapped += count;
      onBatch(count);
    },
  });
  const left = await database.query((queries) => countWrappedByOthers(queries, masterKeyId));
  const unreadable = [...failed].map(([id, reason]) => ({ name: `data key ${id}`, reason }));
  return { rewrapped, unreadable, left };
}

function rewrappedEvent(masterKey: string, dataKeys: number): DataKeyEvent {
  return { organizationId: null, action: 'data_keys.rewrapped', details: { masterKey, dataKeys } };
}

async function rewrap(keyring: Keyring, dataKeys: readonly WrappedDataKey[]) {
  const limit = pLimit(AT_ONCE);
  const wraps: Rewrapped[] = [];
  const unreadable = new Map<string, DecryptionFailure>();
  await Promise.all(
    dataKeys.map((dataKey) =>
      limit(async () => {
        const { id, masterKeyId, wrapped: before } = dataKey;
        const found = await openedLater(answerWithin(WAITING_LIMIT_MS, keyring.unwrap(masterKeyId, dataKey, before)));
        if ('reason' in found) unreadable.set(id, found.reason);
        else {
          const wrapped = await answerWithin(WAITING_LIMIT_MS, keyring.current.wrap(dataKey, found.value));
          wraps.push({ id, before, wrapped });
        }
      }),
    ),
  );
  return { wraps, unreadable };
}
