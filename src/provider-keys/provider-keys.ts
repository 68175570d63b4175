import type { LeasedCache } from '../cache/leased-cache.ts';
import type { ApiKeyCaller, Caller, ServiceCaller } from '../caller.ts';
import type { LastUsed } from '../usage/last-used.ts';
import { HoldersKeys, type HoldersKeysOptions } from './holders-keys.ts';
import { changeOf } from './key-change.ts';
import { type KeyOpener, READ_LIMIT_MS } from './key-opener.ts';
import type { ShownStatus } from './key-state.ts';
import { keyNotFound } from './not-found.ts';
import { type Owner, PLATFORM } from './owner.ts';
import { findForService, findSealed, listSealed } from './provider-key-store.ts';
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
  opener: KeyOpener;
  lastUsed: LastUsed;
}

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
    const row = await database.query((queries) => findForService(queries, clerkOrgId, provider), READ_LIMIT_MS);
    if (row === undefined) throw keyNotFound({ clerkOrgId });
    return this.#reveal(caller, new SealedKey(row), row.organizationId === null ? 'platform' : 'own');
  }

  /** Hands the platform's own secret to one of its services. Errors: see `revealOwn`. */
  async revealPlatforms(caller: ServiceCaller, provider: string): Promise<RevealedProviderKey<'platform'>> {
    const { database } = this.#dependencies;
    const row = await database.query((queries) => findSealed(queries, PLATFORM, provider), READ_LIMIT_MS);
    if (row === undefined) throw keyNotFound(PLATFORM);
    return this.#reveal(caller, new SealedKey(row), 'platform');
  }

  /**
   * Hands an organisation's own secret to the holder of one of its API keys, wherever its services get theirs from: a
   * customer has never anything of the platform's.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_unreadable` when it is there and does not open, or
   * `encryption_unavailable` when it cannot be opened just now
   */
  revealOwn(caller: ApiKeyCaller, provider: string): RevealedProviderKey<'own'> | Promise<RevealedProviderKey<'own'>> {
    const reveal = (sealed: SealedKey | null) => {
      if (sealed === null) throw keyNotFound(caller);
      return this.#reveal(caller, sealed, 'own');
    };
    const found = this.#holders.find(caller.organizationId, provider);
    return found instanceof Promise ? found.then(reveal) : reveal(found);
  }

  /** Destroys the secret in every version. @returns whether there was one */
  async remove(_caller: ServiceCaller, owner: Owner, provider: string): Promise<boolean> {
    const { database, changes } = this.#dependencies;
    const destroyed = await database.transaction((queries) => destroySecret(queries, owner, provider));
    if (destroyed === null) return false;
    changes.announce(changeOf(destroyed.organizationId, provider));
    return true;
  }

  #reveal<S extends KeyOwner>(
    caller: Caller,
    sealed: SealedKey,
    source: S,
  ): RevealedProviderKey<S> | Promise<RevealedProviderKey<S>> {
    const secret = this.#dependencies.opener.open(caller, sealed);
    return secret instanceof Promise
      ? secret.then((key) => this.#revealed(key, sealed, source))
      : this.#revealed(secret, sealed, source);
  }

  #revealed<S extends KeyOwner>(key: string, { row }: SealedKey, source: S): RevealedProviderKey<S> {
    this.#dependencies.lastUsed.record(row.id, Date.now());
    return { key, version: row.version, source };
  }
}
