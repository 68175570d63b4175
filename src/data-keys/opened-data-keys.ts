import { LRUCache } from 'lru-cache';
import { SingleFlight } from '../cache/single-flight.ts';
import type { Keyring } from '../encryption/keyring.ts';
import { MasterKeyUnavailable } from '../encryption/master-key-unavailable.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import { ServiceError } from '../errors.ts';
import { within } from '../time-limit.ts';
import { isUnchanged, type WrappedDataKey } from './wrapped-data-key.ts';

/** How long an opened data key stays in memory: the longest that a master key which was taken away still counts. */
const OPENED_FOR_MS = 10 * 60_000;
/** Some 500 bytes each. */
const MOST_OPENED = 20_000;
/**
 * One that is used in the second half of its time is opened again beside that use: whoever keeps the master key may be
 * away for half of the time, and data keys in use are still there.
 */
const REFRESHED_AFTER = 0.5;
const REFRESH_PAUSE_MS = 15_000;
/** Ids of data keys that are no more, for openings that were under way; they take moments. */
const MOST_REMOVED = 10_000;
/** How long a request waits for the master key. An opening goes on, and the next request finds it done. */
export const WAITING_LIMIT_MS = 400;

export interface OpenedDataKeysOptions {
  openedForMs?: number;
  most?: number;
  waitingLimitMs?: number;
}

interface Opened {
  /** What it was opened from: another reading of the row that differs in anything is opened anew. */
  from: WrappedDataKey;
  dataKey: DataKey;
  refreshAt: number;
}

/** Data keys as the master keys opened them, in memory for a bounded time and in a bounded number. */
export class OpenedDataKeys {
  readonly #keyring: Keyring;
  readonly #opened: LRUCache<string, Opened>;
  readonly #removed = new LRUCache<string, true>({ max: MOST_REMOVED });
  readonly #flights = new SingleFlight<DataKey>();
  readonly #refreshAfterMs: number;
  readonly #waitingLimitMs: number;

  constructor(
    keyring: Keyring,
    { openedForMs = OPENED_FOR_MS, most = MOST_OPENED, waitingLimitMs = WAITING_LIMIT_MS }: OpenedDataKeysOptions = {},
  ) {
    this.#keyring = keyring;
    this.#refreshAfterMs = openedForMs * REFRESHED_AFTER;
    this.#waitingLimitMs = waitingLimitMs;
    // What has run out is let go of, not only never handed out again. Its bytes are not wiped: somebody may be sealing
    // with them just now.
    this.#opened = new LRUCache({ max: most, ttl: openedForMs, ttlAutopurge: true });
  }

  /**
   * The opened data key: at once when it is in memory.
   *
   * @throws DecryptionError (a promise that rejects) when no master key here opens it, or it was altered
   * @throws ServiceError `encryption_unavailable` (likewise) when the master key cannot be asked
   */
  open(wrapped: WrappedDataKey): DataKey | Promise<DataKey> {
    const known = this.#opened.get(wrapped.id);
    if (known === undefined || !isUnchanged(known.from, wrapped)) {
      return answerWithin(this.#waitingLimitMs, this.#unwrap(wrapped));
    }
    if (performance.now() >= known.refreshAt) this.#refresh(known);
    return known.dataKey;
  }

  /** Keeps one that need not be opened, because it was just made. */
  remember(wrapped: WrappedDataKey, key: Buffer): DataKey {
    const dataKey = { id: wrapped.id, key };
    const refreshAt = performance.now() + this.#refreshAfterMs;
    if (!this.#removed.has(wrapped.id)) this.#opened.set(wrapped.id, { from: apart(wrapped), dataKey, refreshAt });
    return dataKey;
  }

  /** One that is no more is let go of, and not kept again by an opening that is under way. Ids are never used twice. */
  forget(id: string): void {
    this.#removed.set(id, true);
    this.#opened.delete(id);
  }

  get ids(): string[] {
    return [...this.#opened.keys()];
  }

  /** One at a time for each data key, however many ask for it. */
  #unwrap(wrapped: WrappedDataKey): Promise<DataKey> {
    const reading = `${wrapped.id} ${wrapped.purpose} ${wrapped.organizationId} ${wrapped.masterKeyId} ${wrapped.wrapped.toString('base64')}`;
    return this.#flights.run(reading, true, async () => {
      const key = await this.#keyring.unwrap(wrapped.masterKeyId, wrapped, wrapped.wrapped);
      return this.remember(wrapped, key);
    });
  }

  #refresh(known: Opened): void {
    known.refreshAt = performance.now() + REFRESH_PAUSE_MS;
    // It has been opened before, so that it can only be out of reach; what is in memory serves until its time is up.
    this.#unwrap(known.from).catch(() => {});
  }
}

/**
 * What a master key answers, if it does so in time.
 *
 * @throws ServiceError `encryption_unavailable`; whatever else the work throws
 */
export async function answerWithin<T>(limitMs: number, work: Promise<T>): Promise<T> {
  try {
    return await within(limitMs, work, () => new MasterKeyUnavailable('no answer in time'));
  } catch (error) {
    if (!(error instanceof MasterKeyUnavailable)) throw error;
    throw new ServiceError(
      'encryption_unavailable',
      'The master key cannot be reached at the moment. Try again shortly.',
      { context: { reason: error.reason }, cause: error },
    );
  }
}

/** Node hands out small buffers as parts of large ones, which each would keep alive. */
function apart(wrapped: WrappedDataKey): WrappedDataKey {
  const bytes = Buffer.alloc(wrapped.wrapped.length);
  wrapped.wrapped.copy(bytes);
  return { ...wrapped, wrapped: bytes };
}
