import type { Audit, Changed } from '../audit/audit.ts';
import type { ServiceCaller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { ServiceError } from '../errors.ts';
import { requireLiving } from '../organizations/organizations.ts';
import type { CheckOutcome, ProviderChecker } from '../providers/provider-checker.ts';
import { countdown } from '../time-limit.ts';
import { ask, QUESTION_SHARE_MS } from './key-check.ts';
import type { KeyState } from './key-state.ts';
import { storeState, storeStatus } from './key-state-store.ts';
import { keyNotFoundToChange, versionNotFound } from './not-found.ts';
import { type Owner, PLATFORM } from './owner.ts';
import { findSealed, listVersions } from './provider-key-store.ts';
import type { RecordedReveals } from './recorded-reveals.ts';
import { SealedKey } from './sealed-key.ts';
import { findSource } from './source-store.ts';
import { checkedEvent } from './version-writer.ts';

/** A check reads, asks and stores; with finding a service key before it, all of it stays below 2 s. */
const LIMIT_MS = 1_600;
const READ_LIMIT_MS = 500;
/** Of what a slow provider leaves. */
const STORE_SHARE_MS = 300;

export interface CheckedVersion extends KeyState {
  version: number;
  outcome: Exclude<CheckOutcome, 'busy'>;
}

/** What a caller found when it used the key. */
export type Trouble = 'rejected' | 'rate_limited';

export interface Report {
  provider: string;
  /** As the key was handed out. */
  version: number;
  outcome: Trouble;
}

export interface ReportedVersion extends KeyState {
  version: number;
}

interface Dependencies {
  database: Database;
  audit: Audit;
  reveals: RecordedReveals;
  checker: ProviderChecker;
}

/** What is known of the secrets that are stored: asks their providers, and notes what they say. */
export class KeyStates {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Asks the provider about the current secret, which is recorded as a reveal, and notes the outcome of the version that was
   * asked about, whichever is current by then. Where nobody can be asked, what was known stays.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_unreadable` or `organization_deleted`;
   * `provider_key_version_not_found` when it was destroyed meanwhile; `overloaded` when too many of this provider are being checked
   */
  async check(caller: ServiceCaller, owner: Owner, provider: string): Promise<CheckedVersion> {
    const { database, audit, reveals, checker } = this.#dependencies;
    const msLeft = countdown(LIMIT_MS);
    const row = await database.query(async (queries) => {
      const found = await findSealed(queries, owner, provider);
      if (found === undefined) throw await keyNotFoundToChange(queries, owner);
      return found;
    }, READ_LIMIT_MS);
    const { organizationId, version, status, lastCheckedAt } = row;
    const unchecked: CheckedVersion = { version, outcome: 'unchecked', status, lastCheckedAt };
    // Its secret is revealed to nobody, and no record may say that it was.
    if (!checker.canBeAsked(provider)) return unchecked;
    const reveal = { organizationId, source: organizationId === null ? 'platform' : 'own', to: 'provider' } as const;
    const revealInMs = () => msLeft(QUESTION_SHARE_MS + STORE_SHARE_MS);
    const secret = await reveals.open(caller, new SealedKey(row), reveal, revealInMs);
    const { outcome, state } = await ask(checker, { provider, secret }, msLeft(STORE_SHARE_MS));
    if (outcome === 'busy') throw tooManyChecks();
    if (outcome === 'unchecked') return unchecked;
    const note = async (queries: Queries) => {
      if (organizationId !== null) await requireLiving(queries, organizationId);
      const result = await storeState(queries, row, state);
      return { result, events: result ? [checkedEvent(row, state)] : [] };
    };
    const isStored = await audit.change(caller, note, msLeft());
    if (!isStored) throw versionNotFound();
    return { version, outcome, ...state };
  }

  /**
   * Notes trouble of the version that had it, whichever is current. However many report the same, it is written once.
   *
   * @throws ServiceError `provider_key_not_found`, `provider_key_version_not_found` or `organization_deleted`
   */
  async report(caller: ServiceCaller, owner: Owner, report: Report): Promise<ReportedVersion> {
    return this.#dependencies.audit.change(caller, (queries) => note(queries, owner, report));
  }

  /**
   * The same of a key of the platform's that was handed out for an organisation: by whoever it was handed to, and as long
   * as the organisation's source says that it is.
   */
  async reportHanded(caller: ServiceCaller, clerkOrgId: string, report: Report): Promise<ReportedVersion> {
    return this.#dependencies.audit.change(caller, async (queries) => {
      const source = await findSource(queries, clerkOrgId, report.provider);
      if (source === undefined) throw await keyNotFoundToChange(queries, { clerkOrgId });
      return note(queries, PLATFORM, report);
    });
  }
}

function tooManyChecks(): ServiceError {
  return new ServiceError('overloaded', 'Too many keys of this provider are being checked. Try again shortly.');
}

async function note(
  queries: Queries,
  owner: Owner,
  { provider, version, outcome }: Report,
): Promise<Changed<ReportedVersion>> {
  const rows = await listVersions(queries, owner, provider, version);
  if (rows.length === 0) throw await keyNotFoundToChange(queries, owner);
  const reported = rows.find((row) => row.version === version);
  if (reported === undefined) throw versionNotFound();
  const { id, organizationId, lastCheckedAt } = reported;
  const result = { version, status: outcome, lastCheckedAt };
  if (reported.status === outcome) return { result, events: [] };
  // Not before: however many report the same, they only read.
  if (organizationId !== null) await requireLiving(queries, organizationId);
  if (!(await storeStatus(queries, reported, outcome))) return { result, events: [] };
  const target = { type: 'provider-key', id } as const;
  const details = { version, status: outcome };
  return { result, events: [{ organizationId, action: 'provider_key.reported', target, provider, details }] };
}
