import { uuidv7 } from 'uuidv7';
import { z } from 'zod';
import type { Answering } from '../answering.ts';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Permission, ServiceCaller } from '../caller.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { ServiceError } from '../errors.ts';
import { generateKey } from '../key-format.ts';
import { type ListPosition, type ListRange, pageOf } from '../paging.ts';
import { requireFuture } from '../require-future.ts';
import type { UsedServiceKey } from './service-key.ts';
import { insertServiceKey, listServiceKeys, revokeServiceKey } from './service-key-store.ts';

export interface NewServiceKey {
  name: string;
  permissions: Permission[];
  revealProviders: string[] | null;
  expiresAt: Date | null;
}

export interface IssuedServiceKey {
  key: string;
  serviceKey: UsedServiceKey;
}

/** Issues, lists and revokes the keys of the platform's own services. */
export class ServiceKeys {
  readonly #database: Database;
  readonly #audit: Audit;
  readonly #changes: Changes;
  readonly #prefix: string;

  constructor(database: Database, audit: Audit, changes: Changes, prefix: string) {
    this.#database = database;
    this.#audit = audit;
    this.#changes = changes;
    this.#prefix = prefix;
  }

  /**
   * The answer is made of the item and the key itself: the only time that it is known.
   *
   * @throws ServiceError `invalid_request` for an expiry that has passed
   */
  async issue<R>(
    caller: ServiceCaller,
    settings: NewServiceKey,
    answering: Answering<IssuedServiceKey, R>,
  ): Promise<R> {
    requireFuture([{ pointer: '/expiresAt', instant: settings.expiresAt }]);
    const { key, hash, keyPrefix, last4 } = generateKey(this.#prefix, 'service');
    const answer = await this.#audit.change(caller, async (queries) => {
      await answering.begin(queries);
      const serviceKey = await insertServiceKey(queries, {
        ...settings,
        id: uuidv7(),
        keyHash: hash,
        keyPrefix,
        last4,
      });
      const { id, name, permissions, revealProviders, expiresAt } = serviceKey;
      const details = { name, permissions, revealProviders, expiresAt: expiresAt?.toISOString() ?? null };
      const result = await answering.conclude(queries, { key, serviceKey: { ...serviceKey, lastUsedAt: null } });
      return { result, events: [{ ...eventOf(id), action: 'service_key.issued', details }] };
    });
    this.#changes.announce({ kind: 'service-key-created', keyHash: keyHashOf(hash) });
    return answer;
  }

  /** Newest first. */
  async list(
    _caller: ServiceCaller,
    { includeRevoked, ...range }: ListRange & { includeRevoked: boolean },
  ): Promise<{ page: UsedServiceKey[]; next: ListPosition | null }> {
    return pageOf(range, (part) =>
      this.#database.query((queries) => listServiceKeys(queries, { includeRevoked, ...part })),
    );
  }

  /**
   * Revokes for good. Again: no error. Once it is answered this replica refuses the key; the others do when the database
   * has told them, within milliseconds, and after the length of the lease whatever happens.
   *
   * @throws ServiceError `service_key_not_found`
   */
  async revoke(caller: ServiceCaller, id: string): Promise<void> {
    if (!z.uuid().safeParse(id).success) notFound();
    const keyHash = await this.#audit.change(caller, async (queries) => {
      const revoked = await revokeServiceKey(queries, id);
      if (!revoked?.changed) return { result: revoked?.keyHash, events: [] };
      const { name, keyHash: result } = revoked;
      return { result, events: [{ ...eventOf(id.toLowerCase()), action: 'service_key.revoked', details: { name } }] };
    });
    if (keyHash === undefined) notFound();
    this.#changes.announce({ kind: 'service-key-revoked', keyHash: keyHashOf(keyHash) });
  }
}

/** A service belongs to no organisation. */
function eventOf(id: string): Pick<AuditEntry, 'organizationId' | 'target'> {
  return { organizationId: null, target: { type: 'service-key', id } };
}

function notFound(): never {
  throw new ServiceError('service_key_not_found', 'There is no service key with this id.');
}
