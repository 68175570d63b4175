import { uuidv7 } from 'uuidv7';
import type { Answering } from '../answering.ts';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { ServiceCaller } from '../caller.ts';
import type { SealingKey } from '../data-keys/data-keys.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { generateKey } from '../key-format.ts';
import { type ApiKey, refusalOf, type UsedApiKey } from './api-key.ts';
import { findApiKey, insertApiKey } from './api-key-store.ts';
import { type LockedApiKey, markRotated } from './change-store.ts';
import { issuedEvent, revokedEvent } from './events.ts';
import { holdApiKey, keyEnded } from './held-key.ts';
import type { KeyCopies } from './key-copies.ts';
import { findCopyOf, findOwnerOfCopy } from './key-copy-store.ts';
import { keyNotFound, requireUuid } from './not-found.ts';

export interface KeyToRotate {
  clerkOrgId: string;
  id: string;
  /** How long the old key goes on beside the new one. */
  graceSeconds: number;
}

export interface RotatedKey {
  /** The new key: the only time that it is known. */
  key: string;
  apiKey: UsedApiKey;
  /** The key whose place it takes, as it is from now on. */
  previous: UsedApiKey;
}

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
  copies: KeyCopies;
  prefix: string;
}

/** Lets new API keys take the place of old ones. */
export class KeyRotations {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Issues a key with all the settings of the old one, which goes on for the time of grace and not longer than it would have.
   * A key is rotated once: what is rotated next is its successor, so that there is one that is current. The successor of a
   * recoverable key is recoverable, and that of a Default key is the Default key; of the old one no copy is left.
   *
   * @throws ServiceError `api_key_not_found`, `organization_deleted`, `api_key_rotated`, or `api_key_ended` for a key that was
   * revoked or has expired, whose settings would make a key that is not good either
   */
  async rotate<R>(caller: ServiceCaller, wanted: KeyToRotate, answering: Answering<RotatedKey, R>): Promise<R> {
    requireUuid(wanted.id);
    const { database, copies } = this.#dependencies;
    const { clerkOrgId, id } = wanted;
    // Whether there is a copy changes but once, to no: a data key that was fetched for nothing does no harm.
    const organizationId = await database.query((queries) => findOwnerOfCopy(queries, clerkOrgId, id));
    if (organizationId === undefined) return this.#rotate(caller, wanted, { sealing: null, answering });
    return copies.withDataKey(organizationId, (sealing, limitMs) =>
      this.#rotate(caller, wanted, { sealing, answering, limitMs }),
    );
  }

  async #rotate<R>(
    caller: ServiceCaller,
    { clerkOrgId, id, graceSeconds }: KeyToRotate,
    {
      sealing,
      answering,
      limitMs,
    }: { sealing: SealingKey | null; answering: Answering<RotatedKey, R>; limitMs?: number },
  ): Promise<R> {
    const { audit, changes, copies } = this.#dependencies;
    const { answer, hash, previousHash, stopsAtOnce } = await audit.change(
      caller,
      async (queries) => {
        await answering.begin(queries);
        const old = await holdApiKey(queries, clerkOrgId, id);
        requireRotatable(old);
        const { organizationId, keyHash: previousHash } = old;
        const copy = sealing === null ? undefined : await findCopyOf(queries, old.id);
        const { apiKey, key, hash } = await this.#issueLike(queries, old);
        const stopped = await markRotated(queries, old.id, { rotatedTo: apiKey.id, graceSeconds });
        const recoverable = sealing !== null && copy !== undefined;
        // After the old key's is gone: of Default keys there is one.
        if (recoverable) await copies.keep(queries, sealing, { ...copy, id: apiKey.id, organizationId, key });
        const previous = (await findApiKey(queries, clerkOrgId, id)) ?? keyNotFound();
        const events = [
          issuedEvent(organizationId, apiKey, { recoverable }),
          rotatedEvent(organizationId, stopped, graceSeconds),
        ];
        if (stopped.revokedAt !== null) events.push(revokedEvent(organizationId, old.id));
        const rotated = { key, apiKey: { ...apiKey, lastUsedAt: null, recoverable }, previous };
        const answer = await answering.conclude(queries, rotated);
        return { result: { answer, hash, previousHash, stopsAtOnce: stopped.revokedAt !== null }, events };
      },
      limitMs,
    );
    changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(hash) });
    changes.announce({
      kind: stopsAtOnce ? 'api-key-revoked' : 'api-key-changed',
      keyHash: keyHashOf(previousHash),
    });
    return answer;
  }

  async #issueLike(queries: Queries, old: LockedApiKey) {
    const { key, hash, keyPrefix, last4 } = generateKey(this.#dependencies.prefix, old.environment);
    const { organizationId, name, environment, enabled, expiresAt, scopes, metadata, ipAllowList, rateLimit } = old;
    // One count for both: what the old one uses in its time of grace is not left to the new one, and nothing doubles.
    const limit = { usageLimitId: old.usageLimited ? old.usageLimitId : null, usageLimited: old.usageLimited };
    const settings = { name, environment, enabled, expiresAt, scopes, metadata, ipAllowList, rateLimit, ...limit };
    const row = { ...settings, id: uuidv7(), organizationId, keyHash: hash, keyPrefix, last4, rotatedFrom: old.id };
    return { key, hash, apiKey: await insertApiKey(queries, row) };
  }
}

function requireRotatable(old: ApiKey): void {
  if (old.rotatedTo !== null) {
    throw new ServiceError(
      'api_key_rotated',
      `This API key was rotated before. Rotate the one that took its place, ${old.rotatedTo}.`,
    );
  }
  const refusal = refusalOf(old, Date.now());
  if (refusal?.reason === 'expired') {
    keyEnded(`This API key expired at ${refusal.expiredAt.toISOString()}, and so would one with its settings.`);
  }
}

function rotatedEvent(organizationId: string, { id, rotatedTo, expiresAt }: ApiKey, graceSeconds: number): AuditEntry {
  return {
    organizationId,
    action: 'api_key.rotated',
    target: { type: 'api-key', id },
    details: { rotatedTo, gracePeriodSeconds: graceSeconds, expiresAt: expiresAt?.toISOString() ?? null },
  };
}
