import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { ServiceError } from '../errors.ts';
import { hashKey, hasWrongChecksum } from '../key-format.ts';
import { organizationAtRest } from '../organizations/organizations.ts';
import { countdown } from '../time-limit.ts';
import { findApiKeyByHash, type OwnedApiKey } from './api-key-store.ts';
import { revokeApiKeys } from './ending-store.ts';

/** What one transaction revokes at most: a fraction of a second. */
const KEYS_AT_ONCE = 5_000;
/** Of a request. */
const REQUEST_LIMIT_MS = 1_600;
/** With less left of it no other transaction is begun. */
const TRANSACTION_SHARE_MS = 800;

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
  prefix: string;
}

/** What is done when keys have got to where they should not be. */
export class KeyTrouble {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Whose a key is, whatever state it is in. That is no use of the key.
   *
   * @throws ServiceError `api_key_not_found`
   */
  async identify(_caller: Caller, key: string): Promise<OwnedApiKey> {
    const { database, prefix } = this.#dependencies;
    if (hasWrongChecksum(prefix, key)) throw unknownKey();
    const found = await database.query((queries) => findApiKeyByHash(queries, hashKey(key)));
    if (found === undefined) throw unknownKey();
    return found;
  }

  /**
   * Revokes every API key of an organisation for good. It waits for those that are being issued, so that one that takes the
   * place of another meanwhile is revoked too.
   *
   * @returns how many it were; `complete` is false when there was no time for all of them, and asking again goes on
   */
  async revokeAll(caller: Caller, clerkOrgId: string): Promise<{ revoked: number; complete: boolean }> {
    const msLeft = countdown(REQUEST_LIMIT_MS);
    let revoked = 0;
    for (;;) {
      const some = await this.#revokeSome(caller, clerkOrgId, msLeft());
      revoked += some;
      if (some < KEYS_AT_ONCE) return { revoked, complete: true };
      if (msLeft() < TRANSACTION_SHARE_MS) return { revoked, complete: false };
    }
  }

  async #revokeSome(caller: Caller, clerkOrgId: string, limitMs: number): Promise<number> {
    const { audit, changes } = this.#dependencies;
    const { organizationId, revoked } = await audit.change<{ organizationId: string | undefined; revoked: number }>(
      caller,
      async (queries) => {
        const organizationId = await organizationAtRest(queries, clerkOrgId);
        if (organizationId === undefined) return { result: { organizationId, revoked: 0 }, events: [] };
        const revoked = await revokeApiKeys(queries, organizationId, { most: KEYS_AT_ONCE });
        const event: AuditEntry = {
          organizationId,
          action: 'organization.api_keys_revoked',
          target: { type: 'organization', id: organizationId },
          details: { apiKeys: revoked },
        };
        return { result: { organizationId, revoked }, events: revoked === 0 ? [] : [event] };
      },
      limitMs,
    );
    if (organizationId !== undefined) changes.announce({ kind: 'organization-changed', organizationId });
    return revoked;
  }
}

function unknownKey(): ServiceError {
  return new ServiceError('api_key_not_found', 'This is no API key of this service.');
}
