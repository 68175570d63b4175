import { uuidv7 } from 'uuidv7';
import type { Audit, Changed } from '../audit/audit.ts';
import type { AuditAction, AuditEntry, Details } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import type { Destroyed } from '../database/schema.ts';
import type { Belongings } from './belongings.ts';
import {
  type DueOrganization,
  lockOrganization,
  makeDue,
  markDestroyed,
  markEnded,
  markLiving,
  type Organization,
  scheduleDestruction,
  setDue,
} from './ending-store.ts';
import { insertOrganization } from './organization-store.ts';

/** One that has ended, with nothing left of it. */
export interface DestroyedOrganization {
  id: string;
  clerkOrgId: string;
  endedAt: Date;
  destroyedAt: Date;
  destroyed: Destroyed;
}

/** What a transaction was about, and what it destroyed, if anything. */
type ChangedOrganization = Pick<DestroyedOrganization, 'id'> & Partial<Pick<DestroyedOrganization, 'destroyed'>>;

/**
 * What one transaction revokes at most: a fraction of a second. From its commit on none of the others is good either, and
 * the sweep marks them.
 */
const KEYS_AT_ONCE = 5_000;

interface Dependencies {
  database: Database;
  audit: Audit;
  changes: Changes;
  belongings: Belongings;
  /** Between Clerk's word that an organisation is deleted and the destruction of its secrets. */
  graceDays: number;
}

/**
 * Organisations end in two steps. One that has ended is refused everywhere at once: its API keys are revoked, its provider
 * keys are in no answer, and nothing is stored for it any more. Destroyed, nothing of its secrets is left, and its row
 * stays as a tombstone. Each step is one transaction, and doing one again changes nothing.
 */
export class OrganizationEndings {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Ends an organisation and destroys its secrets, now. One that is not known here gets its tombstone all the same. */
  async destroy(caller: Caller, clerkOrgId: string): Promise<DestroyedOrganization> {
    return this.#change(caller, async (queries) => {
      const organization = await this.#lockOrMake(queries, clerkOrgId);
      const { id, endedAt, destroyedAt } = organization;
      if (endedAt !== null && destroyedAt !== null) return this.#destroy(queries, { ...organization, endedAt });
      // Clerk's word may have ended it before, and left keys for the sweep to revoke.
      const ended =
        endedAt === null ? await this.#end(queries, organization) : await this.#revokeSome(queries, id, endedAt);
      const { result, events } = await this.#destroy(queries, { ...organization, endedAt: ended.at });
      if (!ended.allRevoked) await setDue(queries, id, 'now');
      return { result, events: endedAt === null ? [eventOf(id, 'organization.ended'), ...events] : events };
    });
  }

  /** Clerk says that it was deleted: it ends now, and is destroyed later. */
  async end(caller: Caller, clerkOrgId: string): Promise<void> {
    await this.#change(caller, async (queries) => {
      const organization = await this.#lockOrMake(queries, clerkOrgId);
      const { id, endedAt } = organization;
      if (endedAt !== null) return { result: { id }, events: [] };
      const { allRevoked } = await this.#end(queries, organization);
      await scheduleDestruction(queries, id, this.#dependencies.graceDays);
      if (!allRevoked) await setDue(queries, id, 'now');
      return { result: { id }, events: [eventOf(id, 'organization.ended')] };
    });
  }

  /** Clerk tells of it as of one that lives: whether it has ended is looked into soon. Nothing that it says here decides. */
  async reconsider(_caller: Caller, clerkOrgId: string): Promise<void> {
    await this.#dependencies.database.transaction((queries) => makeDue(queries, clerkOrgId));
  }

  /** Destroys one that has ended, unless it lives again or was destroyed meanwhile. @returns whether it was done here */
  async destroyDue(caller: Caller, due: DueOrganization): Promise<boolean> {
    return this.#changeDue(caller, due, (queries, organization) => this.#destroy(queries, organization));
  }

  /** Clerk knows it after all: it lives again, with its provider keys. Its API keys stay revoked. @returns like `destroyDue` */
  async restore(caller: Caller, due: DueOrganization): Promise<boolean> {
    return this.#changeDue(caller, due, async (queries, { id, endedAt }) => {
      await markLiving(queries, id);
      await this.#dependencies.belongings.showProviderKeys(queries, id, endedAt);
      return { result: { id }, events: [eventOf(id, 'organization.restored')] };
    });
  }

  /** Revokes what one transaction could not. */
  async revokeRest({ id, endedAt }: Pick<DueOrganization, 'id' | 'endedAt'>): Promise<void> {
    const { database, belongings } = this.#dependencies;
    const some = { at: endedAt, most: KEYS_AT_ONCE };
    for (let revoked = KEYS_AT_ONCE; revoked === KEYS_AT_ONCE; ) {
      revoked = await database.transaction((queries) => belongings.revokeApiKeys(queries, id, some));
    }
  }

  async #changeDue(
    caller: Caller,
    { id, endedAt }: DueOrganization,
    work: (queries: Queries, organization: Organization & { endedAt: Date }) => Promise<Changed<ChangedOrganization>>,
  ): Promise<boolean> {
    let done = false;
    await this.#change<ChangedOrganization>(caller, async (queries) => {
      const organization = await lockOrganization(queries, { id });
      done = organization?.destroyedAt === null && organization.endedAt?.getTime() === endedAt.getTime();
      if (!done || organization === undefined) return { result: { id }, events: [] };
      return work(queries, { ...organization, endedAt });
    });
    return done;
  }

  /** Once it is answered this replica answers nothing from before; the others are told by the database. */
  async #change<T extends ChangedOrganization>(
    caller: Caller,
    work: (queries: Queries) => Promise<Changed<T>>,
  ): Promise<T> {
    const { audit, changes } = this.#dependencies;
    const result = await audit.change(caller, work);
    changes.announce({ kind: 'organization-changed', organizationId: result.id });
    for (const dataKeyId of result.destroyed?.dataKeys ?? []) changes.announce({ kind: 'data-key-removed', dataKeyId });
    return result;
  }

  async #lockOrMake(queries: Queries, clerkOrgId: string): Promise<Organization> {
    await insertOrganization(queries, { id: uuidv7(), clerkOrgId });
    const organization = await lockOrganization(queries, { clerkOrgId });
    if (organization === undefined) throw new Error('An organisation is missing right after it was made');
    return organization;
  }

  async #end(queries: Queries, { id }: Organization): Promise<{ at: Date; allRevoked: boolean }> {
    const ended = await this.#revokeSome(queries, id, await markEnded(queries, id));
    await this.#dependencies.belongings.hideProviderKeys(queries, id, ended.at);
    return ended;
  }

  async #revokeSome(queries: Queries, id: string, at: Date): Promise<{ at: Date; allRevoked: boolean }> {
    const some = { at, most: KEYS_AT_ONCE };
    return { at, allRevoked: (await this.#dependencies.belongings.revokeApiKeys(queries, id, some)) < KEYS_AT_ONCE };
  }

  async #destroy(
    queries: Queries,
    organization: Organization & { endedAt: Date },
  ): Promise<Changed<DestroyedOrganization>> {
    const { id, clerkOrgId, endedAt } = organization;
    if (organization.destroyedAt !== null && organization.destroyed !== null) {
      const { destroyedAt, destroyed } = organization;
      return { result: { id, clerkOrgId, endedAt, destroyedAt, destroyed }, events: [] };
    }
    const { belongings } = this.#dependencies;
    // Secrets before the data keys that sealed them.
    const { providerKeys, secrets } = await belongings.destroyProviderKeys(queries, id);
    const dataKeys = await belongings.destroyDataKeys(queries, id);
    const destroyed = { apiKeys: await belongings.countApiKeys(queries, id), providerKeys, secrets, dataKeys };
    const destroyedAt = await markDestroyed(queries, id, destroyed);
    // The receipt: it outlives the row that says the same, and cannot be altered like it.
    const receipt = { endedAt: endedAt.toISOString(), destroyedAt: destroyedAt.toISOString(), ...destroyed };
    return {
      result: { id, clerkOrgId, endedAt, destroyedAt, destroyed },
      events: [eventOf(id, 'organization.destroyed', receipt)],
    };
  }
}

function eventOf(id: string, action: AuditAction, details: Details = {}): AuditEntry {
  return { organizationId: id, action, target: { type: 'organization', id }, details };
}
