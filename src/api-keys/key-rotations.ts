import { uuidv7 } from 'uuidv7';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { ServiceCaller } from '../caller.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { generateKey } from '../key-format.ts';
import { type ApiKey, refusalOf, type UsedApiKey } from './api-key.ts';
import { findApiKey, insertApiKey } from './api-key-store.ts';
import { type LockedApiKey, markRotated } from './change-store.ts';
import { issuedEvent, revokedEvent } from './events.ts';
import { holdApiKey, keyEnded } from './held-key.ts';
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

/** Lets new API keys take the place of old ones. */
export class KeyRotations {
  readonly #audit: Audit;
  readonly #changes: Changes;
  readonly #prefix: string;

  constructor(audit: Audit, changes: Changes, prefix: string) {
    this.#audit = audit;
    this.#changes = changes;
    this.#prefix = prefix;
  }

  /**
   * Issues a key with all the settings of the old one, which goes on for the time of grace and not longer than it would have.
   * A key is rotated once: what is rotated next is its successor, so that there is one that is current.
   *
   * @throws ServiceError `api_key_not_found`, `organization_deleted`, `api_key_rotated`, or `api_key_ended` for a key that was
   * revoked or has expired, whose settings would make a key that is not good either
   */
  async rotate(caller: ServiceCaller, { clerkOrgId, id, graceSeconds }: KeyToRotate): Promise<RotatedKey> {
    requireUuid(id);
    const { previousHash, hash, ...rotated } = await this.#audit.change(caller, async (queries) => {
      const old = await holdApiKey(queries, clerkOrgId, id);
      requireRotatable(old);
      const { organizationId, keyHash: previousHash } = old;
      const { apiKey, key, hash } = await this.#issueLike(queries, old);
      const stopped = await markRotated(queries, old.id, { rotatedTo: apiKey.id, graceSeconds });
      const previous = (await findApiKey(queries, clerkOrgId, id)) ?? keyNotFound();
      const events = [issuedEvent(organizationId, apiKey), rotatedEvent(organizationId, stopped, graceSeconds)];
      if (stopped.revokedAt !== null) events.push(revokedEvent(organizationId, old.id));
      return { result: { key, hash, previousHash, apiKey: { ...apiKey, lastUsedAt: null }, previous }, events };
    });
    this.#changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(hash) });
    const stopsAtOnce = rotated.previous.revokedAt !== null;
    this.#changes.announce({
      kind: stopsAtOnce ? 'api-key-revoked' : 'api-key-changed',
      keyHash: keyHashOf(previousHash),
    });
    return rotated;
  }

  async #issueLike(queries: Queries, old: LockedApiKey) {
    const { key, hash, keyPrefix, last4 } = generateKey(this.#prefix, old.environment);
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
