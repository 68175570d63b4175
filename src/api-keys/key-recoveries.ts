import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { WrappedDataKey } from '../data-keys/wrapped-data-key.ts';
import type { Database } from '../database/database.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import { type DataKey, open } from '../encryption/sealed-secret.ts';
import { ServiceError } from '../errors.ts';
import { PASS_LIMIT_MS, type RevealGate } from '../reveal-freezes/reveal-gate.ts';
import { countdown } from '../time-limit.ts';
import { type Refusal, refusalOf } from './api-key.ts';
import { keyEnded } from './held-key.ts';
import { placeOfCopy } from './key-copies.ts';
import { findWithCopy, type KeyWithCopy } from './key-copy-store.ts';
import { keyNotFound, requireUuid } from './not-found.ts';

/** A key, with the key itself. */
export interface RecoveredKey extends Pick<KeyWithCopy, 'id' | 'keyPrefix' | 'name'> {
  key: string;
}

/** A copy that did not open; safe to log. */
export interface UnreadableCopy {
  requestId: string;
  apiKeyId: string;
  reason: string;
}

export interface KeyRecoveriesOptions {
  database: Database;
  audit: Audit;
  dataKeys: DataKeys;
  gate: RevealGate;
  onUnreadable: (facts: UnreadableCopy) => void;
}

/** A recovery finds the copy, opens its data key and records that it is revealed; with finding the caller's key below 2 s. */
const REVEAL_LIMIT_MS = 1_500;
const FIND_LIMIT_MS = 750;
/** How long the record of a copy that did not open may take; nobody waits for it. */
const FAILURE_LIMIT_MS = 1_000;

/** Reveals API keys once more, of which a copy was kept. */
export class KeyRecoveries {
  readonly #options: KeyRecoveriesOptions;

  constructor(options: KeyRecoveriesOptions) {
    this.#options = options;
  }

  /**
   * @throws ServiceError `api_key_not_found`; `api_key_ended` for a key that was revoked or has expired;
   * `api_key_not_recoverable` for one without a copy, and for one that is disabled; what `reveal` throws
   */
  async recover(caller: Caller, clerkOrgId: string, id: string): Promise<RecoveredKey> {
    requireUuid(id);
    const msLeft = countdown(REVEAL_LIMIT_MS);
    const found = await this.#options.database.query((queries) => findWithCopy(queries, clerkOrgId, id), FIND_LIMIT_MS);
    if (found === undefined) keyNotFound();
    requireGood(refusalOf(found, Date.now()));
    return this.reveal(caller, found, msLeft);
  }

  /**
   * The text does not exist before its record does; see provider-keys/recorded-reveals.ts, which does the same.
   *
   * @throws ServiceError `api_key_not_recoverable`, `reveals_frozen`, `api_key_unreadable`, `encryption_unavailable`,
   * `audit_unavailable`
   */
  async reveal(caller: Caller, found: KeyWithCopy, msLeft: () => number): Promise<RecoveredKey> {
    const { audit, gate } = this.#options;
    const { id, organizationId, keyPrefix, name, copy, dataKey } = found;
    if (copy === null || dataKey === null) {
      notRecoverable(
        'No copy of this API key was kept: that is asked for when it is issued, and ends when it is rotated.',
      );
    }
    await gate.pass(organizationId);
    await this.#unwrap(dataKey);
    await audit.reveal(caller, eventOf(found, 'api_key.recovered'), Math.max(1, msLeft() - PASS_LIMIT_MS));
    try {
      const opened = await this.#unwrap(dataKey);
      const key = this.#open(caller, found, copy.sealed, opened);
      await gate.pass(organizationId);
      return { id, key, keyPrefix, name };
    } catch (error) {
      // The record says that it was recovered. That it was not is worth another.
      const code = error instanceof ServiceError ? error.code : 'internal_error';
      audit
        .reveal(caller, { ...eventOf(found, 'api_key.recovery_failed'), details: { code } }, FAILURE_LIMIT_MS)
        .catch(() => {});
      throw error;
    }
  }

  /** What does not open at all is for `#open` to say, when that is recorded. @throws ServiceError `encryption_unavailable` */
  async #unwrap(dataKey: WrappedDataKey): Promise<DataKey | DecryptionError> {
    try {
      return await this.#options.dataKeys.unwrap(dataKey);
    } catch (error) {
      if (error instanceof DecryptionError) return error;
      throw error;
    }
  }

  #open({ requestId }: Caller, found: KeyWithCopy, sealed: Buffer, dataKey: DataKey | DecryptionError): string {
    try {
      if (dataKey instanceof DecryptionError) throw dataKey;
      return open(dataKey, placeOfCopy(found), sealed);
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      this.#options.onUnreadable({ requestId, apiKeyId: found.id, reason: error.reason });
      throw new ServiceError(
        'api_key_unreadable',
        'The copy of this API key cannot be read. The key is valid as before, and only its holder has it.',
        { context: { apiKeyId: found.id } },
      );
    }
  }
}

/** What is not good is handed to nobody. @throws ServiceError `api_key_ended`, `api_key_not_recoverable` */
function requireGood(refusal: Refusal | null): void {
  if (refusal === null) return;
  if (refusal.reason === 'revoked') keyEnded('This API key was revoked, which is for good.');
  if (refusal.reason === 'expired') keyEnded(`This API key expired at ${refusal.expiredAt.toISOString()}.`);
  keyDisabled();
}

export function keyDisabled(): never {
  notRecoverable('This API key is disabled, and handed to nobody until it is enabled again.');
}

function notRecoverable(sentence: string): never {
  throw new ServiceError('api_key_not_recoverable', sentence);
}

function eventOf(
  { id, organizationId }: KeyWithCopy,
  action: 'api_key.recovered' | 'api_key.recovery_failed',
): AuditEntry {
  return { organizationId, action, target: { type: 'api-key', id } };
}
