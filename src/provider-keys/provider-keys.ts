import type { Audit } from '../audit/audit.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { ApiKeyCaller, Caller, ServiceCaller } from '../caller.ts';
import { countdown } from '../time-limit.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { HoldersKeys, type HoldersKeysOptions } from './holders-keys.ts';
import { changeOf } from './key-change.ts';
import { type KeyOpener, READ_LIMIT_MS } from './key-opener.ts';
import type { ShownStatus } from './key-state.ts';
import { keyNotFound } from './not-found.ts';
import { type Owner, PLATFORM } from './owner.ts';
import { findForService, findSealed, listSealed } from './provider-key-store.ts';
import type { RecordedReveals, Reveal } from './recorded-reveals.ts';
import { SealedKey } from './sealed-key.ts';
import { destroySecret } from './version-store.ts';

export interface ListedProviderKey {
  provider: string;
  maskedKey: string;
  version: number;
  status: ShownStatus;
  lastCheckedAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
}

/** Whose key was handed out: the organisation's own, or the platform's. */
type KeyOwner = 'own' | 'platform';

export interface RevealedProviderKey<S extends KeyOwner = KeyOwner> {
  key: string;
  version: number;
  source: S;
}

interface Dependencies extends HoldersKeysOptions {
  audit: Audit;
  opener: KeyOpener;
  reveals: RecordedReveals;
  lastUsed: LastUsed;
}

/**
 * A reveal finds the secret, opens its data key and records that it is revealed; all together stay below 2 s, a key of the
 * caller's that had to be looked up before (0.75 s) included.
 */
const REVEAL_LIMIT_MS = 1_150;
const FIND_LIMIT_MS = 750;

/** Customers' own provider keys and the platform's, as they are now: lists them, hands them out to those who may have them, destroys them. */
export class ProviderKeys {
  readonly #dependencies: Dependencies;
  readonly #holders: HoldersKeys;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#holders = new HoldersKeys(dependencies);
  }

  get cache(): LeasedCache<SealedKey> {
    return this.#holders.cache;
  }

  /**
   * Sorted by provider. A secret that does not open is listed all the same, as unreadable; one that cannot be opened just
   * now as unavailable.
   */
  async list(caller: ServiceCaller, owner: Owner): Promise<ListedProviderKey[]> {
    const { database, opener } = this.#dependencies;
    const rows = await database.query((queries) => listSealed(queries, owner), READ_LIMIT_MS);
    return Promise.all(
      rows.map(async (row) => {
        const { maskedKey, status } = await opener.mask(caller, new SealedKey(row), row.status);
        const { provider, version, lastCheckedAt, createdAt, updatedAt, lastUsedAt } = row;
        return { provider, maskedKey, version, status, lastCheckedAt, createdAt, updatedAt, lastUsedAt };
      }),
    );
  }

  /**
   * Hands one of the platform's services what an organisation works with: its own secret, or the platform's where its
   * source for the provider says so. Errors: see `revealOwn`.
   */
  async reveal(caller: ServiceCaller, clerkOrgId: string, provider: string): Promise<RevealedProviderKey> {
    const { database } = this.#dependencies;
    const msLeft = countdown(REVEAL_LIMIT_MS);
    const row = await database.query((queries) => findForService(queries, clerkOrgId, provider), FIND_LIMIT_MS);
    if (row === undefined) throw keyNotFound({ clerkOrgId });
    const source = row.organizationId === null ? 'platform' : 'own';
    return this.#reveal(caller, new SealedKey(row), { organizationId: row.handedTo, source }, msLeft);
  }

  /** Hands the platform's own secret to one of its services. Errors: see `revealOwn`. */
  async revealPlatforms(caller: ServiceCaller, provider: string): Promise<RevealedProviderKey<'platform'>> {
    const { database } = this.#dependencies;
    const msLeft = countdown(REVEAL_LIMIT_MS);
    const row = await database.query((queries) => findSealed(queries, PLATFORM, provider), FIND_LIMIT_MS);
    if (row === undefined) throw keyNotFound(PLATFORM);
    return this.#reveal(caller, new SealedKey(row), { organizationId: null, source: 'platform' }, msLeft);
  }

  /**
   * Hands an organisation's own secret to the holder of one of its API keys, wherever its services get theirs from: a
   * customer has never anything of the platform's.
   *
   * That nothing was there to reveal is not recorded, for whoever holds a key can ask for that without end.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_unreadable` when it is there and does not open,
   * `encryption_unavailable` when it cannot be opened just now, `audit_unavailable` when it could not be recorded
   */
  async revealOwn(caller: ApiKeyCaller, provider: string): Promise<RevealedProviderKey<'own'>> {
    const { organizationId } = caller;
    const msLeft = countdown(REVEAL_LIMIT_MS);
    const found = this.#holders.find(organizationId, provider);
    const sealed = found instanceof Promise ? await found : found;
    if (sealed === null) throw keyNotFound(caller);
    return this.#reveal(caller, sealed, { organizationId, source: 'own' }, msLeft);
  }

  /** Destroys the secret in every version. @returns whether there was one */
  async remove(caller: ServiceCaller, owner: Owner, provider: string): Promise<boolean> {
    const { audit, changes } = this.#dependencies;
    const destroyed = await audit.change(caller, async (queries) => {
      const result = await destroySecret(queries, owner, provider);
      if (result === null) return { result, events: [] };
      const { id, organizationId, version } = result;
      const target = { type: 'provider-key', id } as const;
      const event = { organizationId, action: 'provider_key.removed', target, provider, details: { version } } as const;
      return { result, events: [event] };
    });
    if (destroyed === null) return false;
    changes.announce(changeOf(destroyed.organizationId, provider));
    return true;
  }

  async #reveal<S extends KeyOwner>(
    caller: Caller,
    sealed: SealedKey,
    reveal: Omit<Reveal, 'source' | 'to'> & { source: S },
    msLeft: () => number,
  ): Promise<RevealedProviderKey<S>> {
    const { reveals, lastUsed } = this.#dependencies;
    const key = await reveals.open(caller, sealed, { ...reveal, to: 'caller' }, msLeft);
    lastUsed.record(sealed.row.id, Date.now());
    return { key, version: sealed.row.version, source: reveal.source };
  }
}
