import { refusalOf } from '../api-keys/api-key.ts';
import { KeyLookUps } from '../cache/key-look-ups.ts';
import type { LeasedCache } from '../cache/leased-cache.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import { hashKeyText, hasWrongChecksum } from '../key-format.ts';
import type { Membership, MembershipLookup } from '../organizations/membership.ts';
import { within } from '../time-limit.ts';
import type { KeyUsage } from '../usage/key-usage.ts';
import type { ClientOrigin } from './client-origin.ts';
import type { Guessing } from './guessing.ts';
import { holderOf, type KeyHolder, WAITING_LIMIT_MS } from './key-holder.ts';
import { KnownKey } from './known-key.ts';
import { prepareFindForValidation } from './known-key-store.ts';
import { type KeyRefusal, REFUSAL_CODES } from './refusal.ts';

/** The outcome of a validation is data: why a key is refused is as ordinary an answer as that it is good. */
export type Validation = { valid: true; holder: KeyHolder } | { valid: false; refusal: KeyRefusal };

/** Of the time that a validation has, what may be spent waiting for a turn. */
const PATIENCE_MS = 250;
const UNKNOWN_KEYS_REMEMBERED = 50_000;

/** Malformed and unknown are one answer: neither was ever issued, as far as anyone outside can tell. */
const UNKNOWN: Validation = { valid: false, refusal: { reason: 'invalid' } };

const SUSPENDED: KeyRefusal = { reason: 'suspended' };

interface Dependencies {
  database: Database;
  changes: Changes;
  membership: MembershipLookup;
  /** Longer than `membership` ever takes. */
  membershipLimitMs: number;
  usage: KeyUsage;
  prefix: string;
  /** null: keys that nobody issued are not counted. */
  guessing: Guessing | null;
  cacheMaxBytes: number;
  /** Database connections that look-ups may use at once. */
  lookUpsAtOnce: number;
}

/**
 * Answers the question that every request of every customer asks: is this key good, and whose is it? From memory while the
 * change feed vouches for it, else from the database.
 */
export class KeyValidation {
  readonly #dependencies: Dependencies;
  readonly #keys: KeyLookUps<KnownKey>;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { database, changes, cacheMaxBytes, lookUpsAtOnce } = dependencies;
    const find = prepareFindForValidation(database);
    this.#keys = new KeyLookUps({
      changes,
      async find(keyHashes) {
        const found = await find(keyHashes);
        return found.map((facts) => ({
          keyHash: facts.keyHash,
          value: new KnownKey(facts),
          organizationId: facts.organizationId,
        }));
      },
      maxBytes: cacheMaxBytes,
      sizeOf: (key) => key.size,
      unknownRemembered: UNKNOWN_KEYS_REMEMBERED,
      lookUpsAtOnce,
      limitMs: WAITING_LIMIT_MS,
      patienceMs: PATIENCE_MS,
      knowsSuspects: dependencies.guessing !== null,
    });
  }

  get cache(): LeasedCache<KnownKey> {
    return this.#keys.cache;
  }

  /**
   * A promise only where the database has to be asked. Where that is about where the request comes from, it is part of the
   * time that a validation has.
   *
   * @throws ServiceError `database_unavailable` or `overloaded`: a failure to look is never an answer about the key
   */
  validate(origin: ClientOrigin | Promise<ClientOrigin>, key: string): Validation | Promise<Validation> {
    if (origin instanceof Promise) {
      const beganMs = performance.now();
      const validation = origin.then((known) => this.#validate(known, key, beganMs));
      return within(WAITING_LIMIT_MS, validation, databaseUnavailable);
    }
    return this.#validate(origin, key, null);
  }

  #validate(origin: ClientOrigin, key: string, beganMs: number | null): Validation | Promise<Validation> {
    const known = this.#find(origin, key);
    if (known === null) return this.#refuseUnknown(origin);
    if (!(known instanceof Promise)) return this.#judge(origin, known, beganMs);
    const lookUpBeganMs = beganMs ?? performance.now();
    return known.then((found) =>
      found === null ? this.#refuseUnknown(origin) : this.#judge(origin, found, lookUpBeganMs),
    );
  }

  /**
   * Whose a key is, in whatever state and wherever it is asked from; a key that is nobody's is refused. It is no use of the key.
   *
   * @throws ServiceError `database_unavailable` or `overloaded`
   */
  identify(origin: ClientOrigin | Promise<ClientOrigin>, key: string): Promise<Validation> {
    return within(WAITING_LIMIT_MS, this.#identify(origin, key), databaseUnavailable);
  }

  async #identify(asked: ClientOrigin | Promise<ClientOrigin>, key: string): Promise<Validation> {
    const origin = await asked;
    const known = await this.#find(origin, key);
    if (known === null) return this.#refuseUnknown(origin);
    return { valid: true, holder: holderOf(origin, known, Date.now(), null) };
  }

  /** Who the holder's organisation is to Clerk; never fails, never takes longer than Clerk's time limit. */
  membershipOf({ known }: KeyHolder): Membership | Promise<Membership> {
    const { membership, membershipLimitMs } = this.#dependencies;
    const found = membership(known.clerkOrgId);
    // It keeps its own limit, unless the whole process was stopped: then the key may be long revoked.
    return found instanceof Promise ? within(membershipLimitMs, found, databaseUnavailable) : found;
  }

  /** Null for a key that is nobody's. */
  #find(origin: ClientOrigin, key: string): KnownKey | null | Promise<KnownKey | null> {
    const hash = hashKeyText(key);
    const known = this.#keys.get(hash);
    if (known !== undefined) return known;
    if (hasWrongChecksum(this.#dependencies.prefix, key)) return null;
    return this.#keys.lookUp(hash, this.#isSuspect(origin));
  }

  #isSuspect({ address, addressIsClients }: ClientOrigin): boolean {
    const { guessing } = this.#dependencies;
    return guessing !== null && addressIsClients && address !== null && guessing.isLimited(address);
  }

  /** Counted where the address is known to be the client's: what stands between would be refused for all its clients. */
  #refuseUnknown({ address, addressIsClients }: ClientOrigin): Validation | Promise<Validation> {
    const { guessing } = this.#dependencies;
    if (guessing === null || !addressIsClients || address === null) return UNKNOWN;
    return guessing
      .failed(address)
      .then((retryAfterSeconds) =>
        retryAfterSeconds === null ? UNKNOWN : { valid: false, refusal: { reason: 'guessing', retryAfterSeconds } },
      );
  }

  #judge(origin: ClientOrigin, known: KnownKey, beganMs: number | null): Validation {
    const now = Date.now();
    const refusal = refusalOf(known, now) ?? (known.suspended ? SUSPENDED : null) ?? addressRefusal(known, origin);
    if (refusal !== null) {
      this.#dependencies.usage.record(known, REFUSAL_CODES[refusal.reason], now);
      return { valid: false, refusal };
    }
    return { valid: true, holder: holderOf(origin, known, now, beganMs) };
  }
}

/** @throws what went wrong when it was found out from where the request comes, if that decides */
function addressRefusal({ ipAllowList }: KnownKey, { address, addressTrouble }: ClientOrigin): KeyRefusal | null {
  if (ipAllowList === null) return null;
  if (addressTrouble !== undefined) throw addressTrouble;
  return ipAllowList.allows(address) ? null : { reason: 'address', address };
}
