import { uuidv7 } from 'uuidv7';
import type { Answering } from '../answering.ts';
import type { Audit, Changed } from '../audit/audit.ts';
import type { Caller } from '../caller.ts';
import type { SealingKey } from '../data-keys/data-keys.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { generateKey } from '../key-format.ts';
import { ensureOrganization, requireLivingInTurn } from '../organizations/organizations.ts';
import { countdown } from '../time-limit.ts';
import { refusalOf } from './api-key.ts';
import { insertApiKey } from './api-key-store.ts';
import { issuedEvent } from './events.ts';
import type { KeyCopies } from './key-copies.ts';
import { findDefaultKey, type KeyWithCopy, removeCopy } from './key-copy-store.ts';
import { type KeyRecoveries, keyDisabled, type RecoveredKey } from './key-recoveries.ts';

const NAME = 'Default';
/** What a new one may do: everything, like every key for which nothing else is said. */
const SETTINGS = {
  name: NAME,
  environment: 'live',
  enabled: true,
  expiresAt: null,
  scopes: null,
  metadata: {},
  ipAllowList: null,
  rateLimit: null,
  usageLimitId: null,
  usageLimited: false,
} as const;
const REQUEST_LIMIT_MS = 1_600;

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
  copies: KeyCopies;
  recoveries: KeyRecoveries;
  prefix: string;
}

/** A Default key, with whether it was made for this request. */
export interface DefaultKey extends RecoveredKey {
  created: boolean;
}

/** What was there already, or the answer that tells of a new one. */
type FoundOrMade<R> = { found: KeyWithCopy } | { answer: R; hash: Buffer };

/** The one key of an organisation that a service may ask for whenever it needs one. */
export class DefaultKeys {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * The Default key of an organisation: the one that was made here, whatever its name has become, or the one that took its
   * place; a new one when there is none that is good any more. However many ask at once, on however many replicas, one is made.
   *
   * @throws ServiceError `organization_deleted`; `api_key_not_recoverable` when it is disabled, for somebody meant that; what
   * `KeyRecoveries.reveal` throws
   */
  async session<R>(caller: Caller, clerkOrgId: string, answering: Answering<DefaultKey, R>): Promise<R> {
    const { database, recoveries } = this.#dependencies;
    const msLeft = countdown(REQUEST_LIMIT_MS);
    const known = await database.query((queries) => findDefaultKey(queries, { clerkOrgId }), msLeft());
    const session =
      known !== undefined && isGood(known)
        ? { found: known }
        : await this.#findOrMake(caller, clerkOrgId, { answering, msLeft });
    if ('answer' in session) return session.answer;
    return answering.unchanged({ ...(await recoveries.reveal(caller, session.found, msLeft)), created: false });
  }

  async #findOrMake<R>(
    caller: Caller,
    clerkOrgId: string,
    { answering, msLeft }: { answering: Answering<DefaultKey, R>; msLeft: () => number },
  ): Promise<FoundOrMade<R>> {
    const { database, audit, changes, copies } = this.#dependencies;
    const organizationId = await database.query((queries) => ensureOrganization(queries, clerkOrgId), msLeft());
    const session = await copies.withDataKey(
      organizationId,
      (sealing, limitMs) =>
        audit.change(
          caller,
          async (queries) => {
            await answering.begin(queries);
            return this.#makeUnlessThere(queries, organizationId, { sealing, answering });
          },
          limitMs,
        ),
      msLeft,
    );
    if ('hash' in session) changes.announce({ kind: 'api-key-created', keyHash: keyHashOf(session.hash) });
    return session;
  }

  async #makeUnlessThere<R>(
    queries: Queries,
    organizationId: string,
    { sealing, answering }: { sealing: SealingKey; answering: Answering<DefaultKey, R> },
  ): Promise<Changed<FoundOrMade<R>>> {
    await requireLivingInTurn(queries, organizationId);
    const before = await findDefaultKey(queries, { organizationId });
    if (before !== undefined && isGood(before)) return { result: { found: before }, events: [] };
    // It has expired. Whoever gives it more time has a key of the ordinary kind.
    if (before !== undefined) await removeCopy(queries, before.id);
    const { key, hash, keyPrefix, last4 } = generateKey(this.#dependencies.prefix, SETTINGS.environment);
    const row = { ...SETTINGS, id: uuidv7(), organizationId, keyHash: hash, keyPrefix, last4, rotatedFrom: null };
    const { id, name, ...made } = await insertApiKey(queries, row);
    await this.#dependencies.copies.keep(queries, sealing, { id, organizationId, key, isDefault: true });
    const events = [issuedEvent(organizationId, { ...made, id, name }, { recoverable: true })];
    const answer = await answering.conclude(queries, { id, key, keyPrefix, name, created: true });
    return { result: { answer, hash }, events };
  }
}

/** False where another is to be made. @throws ServiceError `api_key_not_recoverable` */
function isGood(known: KeyWithCopy): boolean {
  const refusal = refusalOf(known, Date.now());
  if (refusal?.reason === 'disabled') keyDisabled();
  return refusal === null;
}
