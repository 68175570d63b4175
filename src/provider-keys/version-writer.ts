import { uuidv7 } from 'uuidv7';
import type { Answering } from '../answering.ts';
import type { Audit, Changed } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { ServiceCaller } from '../caller.ts';
import { DataKeyReplaced, type DataKeys, type SealingKey } from '../data-keys/data-keys.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import type { Queries } from '../database/queries.ts';
import { seal } from '../encryption/sealed-secret.ts';
import { requireLiving } from '../organizations/organizations.ts';
import { countdown, within } from '../time-limit.ts';
import { changeOf } from './key-change.ts';
import type { KeyOpener } from './key-opener.ts';
import type { KeyState, KeyStatus } from './key-state.ts';
import { storeState } from './key-state-store.ts';
import { maskSecret } from './masking.ts';
import { keyNotFound, versionNotFound } from './not-found.ts';
import { findSealed, type SealedRow } from './provider-key-store.ts';
import { placeOf, SealedKey } from './sealed-key.ts';
import { findState, isLive, lockRow, storeVersion } from './version-store.ts';

/** Of each key, the current one included. An older one is destroyed in the transaction that makes it too old. */
const VERSIONS_KEPT = 10;

/** A change asks the provider where it is told to, prepares and stores; with finding a service key before it, all of it stays below 2 s. */
const CHANGE_LIMIT_MS = 1_600;
const PREPARE_LIMIT_MS = 850;
const STORE_LIMIT_MS = 900;
/** Of what a slow provider leaves. */
const STORE_SHARE_MS = 300;
/** What a provider leaves for the database: as much to prepare as to store. */
export const DATABASE_SHARE_MS = 600;

/** The version that is current after a change, or without one. */
export interface CurrentVersion {
  version: number;
  maskedKey: string;
  status: KeyStatus;
  outcome: 'created' | 'replaced' | 'unchanged';
}

/** A secret that the current version has already. */
export interface Unchanged {
  secret: string;
  unchanged: { version: number; status: KeyStatus };
}

/** A secret that is to become the next version. */
export interface NextVersion {
  secret: string;
  /** null: the platform's. */
  organizationId: string | null;
  provider: string;
  /** To seal it with. */
  dataKey: SealingKey;
  /** The version that it was found to differ from; null when there was none. */
  differsFrom: number | null;
  /** From outside, with what its provider said of it; or from a version that is kept, with what is known of that one. */
  from: { state: KeyState } | { version: number };
}

export interface VersionWriterOptions {
  database: Database;
  audit: Audit;
  changes: Changes;
  dataKeys: DataKeys;
  opener: KeyOpener;
}

/** Begins the time of a change; what it tells is how much of it is left. */
export const beginChange = () => countdown(CHANGE_LIMIT_MS);
type MsLeft = ReturnType<typeof beginChange>;

/** What there is to store, after all that needs no lock. */
type Prepare = () => Promise<Unchanged | NextVersion>;

/** Makes secrets the next versions of their keys. */
export class VersionWriter {
  readonly #options: VersionWriterOptions;

  constructor(options: VersionWriterOptions) {
    this.#options = options;
  }

  /**
   * All that needs no lock is prepared first: many changes of one key wait for each other at its row, and hold it for no
   * more than it takes to number and store a version. It is begun again as often as the data key was replaced meanwhile.
   */
  async write<R>(
    caller: ServiceCaller,
    msLeft: MsLeft,
    prepare: Prepare,
    answering: Answering<CurrentVersion, R>,
  ): Promise<R> {
    do {
      try {
        return await this.#write(caller, msLeft, prepare, answering);
      } catch (error) {
        if (!(error instanceof DataKeyReplaced)) throw error;
      }
    } while (msLeft() > 1);
    throw databaseUnavailable();
  }

  /** Whether a stored secret is this one. */
  async holds(caller: ServiceCaller, row: SealedRow, secret: string): Promise<boolean> {
    return (await this.#options.opener.tryOpen(caller, new SealedKey(row))) === secret;
  }

  async #write<R>(
    caller: ServiceCaller,
    msLeft: MsLeft,
    prepare: Prepare,
    answering: Answering<CurrentVersion, R>,
  ): Promise<R> {
    const { audit, changes } = this.#options;
    const limitMs = Math.min(PREPARE_LIMIT_MS, msLeft(STORE_SHARE_MS));
    const prepared = await within(limitMs, prepare(), databaseUnavailable);
    const maskedKey = maskSecret(prepared.secret);
    if ('unchanged' in prepared) {
      const { version, status } = prepared.unchanged;
      return answering.unchanged({ version, maskedKey, status, outcome: 'unchanged' });
    }
    const answer = await audit.change(
      caller,
      async (queries) => {
        await answering.begin(queries);
        const { result, events } = await this.#store(caller, queries, prepared);
        return { result: await answering.conclude(queries, { maskedKey, ...result }), events };
      },
      Math.min(STORE_LIMIT_MS, msLeft()),
    );
    changes.announce(changeOf(prepared.organizationId, prepared.provider));
    return answer;
  }

  async #store(
    caller: ServiceCaller,
    queries: Queries,
    { secret, organizationId, provider, dataKey, differsFrom, from }: NextVersion,
  ): Promise<Changed<Omit<CurrentVersion, 'maskedKey'>>> {
    if (organizationId !== null) await requireLiving(queries, organizationId);
    const row = await lockRow(queries, { id: uuidv7(), organizationId, provider });
    const state = 'state' in from ? from.state : await findState(queries, row, from.version);
    // What was destroyed meanwhile must not come back.
    if ('version' in from && !isLive(row)) throw keyNotFound({ organizationId });
    if (state === undefined) throw versionNotFound();
    if (isLive(row) && row.version !== differsFrom) {
      // Somebody else was first; it may have been with the same secret.
      const current = await findSealed(queries, { organizationId }, provider);
      if (current !== undefined && (await this.holds(caller, current, secret))) {
        const noted = await noteState(queries, current, 'state' in from ? state : null);
        return {
          result: { version: current.version, status: noted.result, outcome: 'unchanged' },
          events: noted.events,
        };
      }
    }
    await this.#options.dataKeys.confirm(queries, dataKey);
    const version = row.version + 1;
    const sealed = seal(dataKey, placeOf({ id: row.id, organizationId, provider, version }), secret);
    await storeVersion(queries, row, { version, dataKeyId: dataKey.id, sealed, state, keeps: VERSIONS_KEPT });
    const { status } = state;
    const event: AuditEntry = {
      organizationId,
      action: 'state' in from ? 'provider_key.saved' : 'provider_key.rolled_back',
      target: { type: 'provider-key', id: row.id },
      provider,
      details: { version, status, ...('version' in from ? { from: from.version } : {}) },
    };
    return { result: { version, status, outcome: isLive(row) ? 'replaced' : 'created' }, events: [event] };
  }
}

/** Notes what the provider said of a secret that is stored already, if it was asked. @returns what is known then */
export async function noteState(
  queries: Queries,
  row: SealedRow & KeyState,
  state: KeyState | null,
): Promise<Changed<KeyStatus>> {
  if (state === null || state.lastCheckedAt === null) return { result: row.status, events: [] };
  const isStored = await storeState(queries, row, state);
  return { result: state.status, events: isStored ? [checkedEvent(row, state)] : [] };
}

/** That the provider was asked about a secret, and what it said. */
export function checkedEvent({ id, organizationId, provider, version }: SealedRow, { status }: KeyState): AuditEntry {
  const target = { type: 'provider-key', id } as const;
  return { organizationId, action: 'provider_key.checked', target, provider, details: { version, status } };
}
