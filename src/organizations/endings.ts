import { uuidv7 } from 'uuidv7';
import type { Audit, Changed } from '../audit/audit.ts';
import type { Caller } from '../caller.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { countdown } from '../time-limit.ts';
import type { Belongings } from './belongings.ts';
import { destroySome, type EndedOrganization, eventOf, KEYS_AT_ONCE } from './destruction.ts';
import {
  type DueOrganization,
  lockOrganization,
  makeDue,
  markEnded,
  markLiving,
  type Organization,
  scheduleDestruction,
  setDue,
} from './ending-store.ts';
import { insertOrganization } from './organization-store.ts';

/** What a transaction was about, and what it destroyed, if anything. */
type ChangedOrganization = Pick<EndedOrganization, 'id'> & Partial<Pick<EndedOrganization, 'end'>>;

/** Of a request. What is not destroyed by then is destroyed by the sweep, of whichever replica. */
const REQUEST_LIMIT_MS = 1_600;
/** With less left of it no other transaction is begun. */
const TRANSACTION_SHARE_MS = 400;

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
 * stays as a tombstone. The end is one transaction. A destruction is as many as it takes, and once begun it is finished, by
 * whoever goes on with it. Doing either again changes nothing.
 */
export class OrganizationEndings {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Ends an organisation and destroys its secrets, now, or as many as there is time for. One that is not known here gets its
   * tombstone all the same.
   */
  async destroy(caller: Caller, clerkOrgId: string): Promise<EndedOrganization> {
    const { belongings } = this.#dependencies;
    const msLeft = countdown(REQUEST_LIMIT_MS);
    const first = async (queries: Queries) => {
      const organization = await this.#lockOrMake(queries, clerkOrgId);
      const { id, endedAt } = organization;
      if (endedAt !== null) return destroySome(belongings, queries, { ...organization, endedAt });
      const ended = { ...organization, endedAt: await this.#end(queries, id) };
      const { result, events } = await destroySome(belongings, queries, ended);
      return { result, events: [eventOf(id, 'organization.ended'), ...events] };
    };
    let organization = await this.#change(caller, first, msLeft());
    while (organization.end === null && msLeft() > TRANSACTION_SHARE_MS) {
      organization = await this.#destroyMore(caller, organization, msLeft());
    }
    return organization;
  }

  /** Clerk says that it was deleted: it ends now, and is destroyed later. */
  async end(caller: Caller, clerkOrgId: string): Promise<void> {
    await this.#change<ChangedOrganization>(caller, async (queries) => {
      const { id, endedAt } = await this.#lockOrMake(queries, clerkOrgId);
      if (endedAt !== null) return { result: { id }, events: [] };
      const some = { at: await this.#end(queries, id), most: KEYS_AT_ONCE };
      const revoked = await this.#dependencies.belongings.revokeApiKeys(queries, id, some);
      await scheduleDestruction(queries, id, this.#dependencies.graceDays);
      if (revoked === KEYS_AT_ONCE) await setDue(queries, id, 'now');
      return { result: { id }, events: [eventOf(id, 'organization.ended')] };
    });
  }

  /** Clerk tells of it as of one that lives: whether it has ended is looked into soon. Nothing that it says here decides. */
  async reconsider(_caller: Caller, clerkOrgId: string): Promise<void> {
    await this.#dependencies.database.transaction((queries) => makeDue(queries, clerkOrgId));
  }

  /**
   * Destroys one that has ended, unless it lives again or was destroyed meanwhile; as long as it is wanted, for what is left
   * then is gone on with later.
   *
   * @returns whether it was finished here
   */
  async destroyDue(caller: Caller, due: DueOrganization, isWanted: () => boolean): Promise<boolean> {
    const { belongings } = this.#dependencies;
    let organization = await this.#changeDue<EndedOrganization>(caller, due, (queries, ended) =>
      destroySome(belongings, queries, ended),
    );
    while (organization?.end === null && isWanted()) organization = await this.#destroyMore(caller, organization);
    return organization !== null && organization.end !== null;
  }

  /** Clerk knows it after all: it lives again, with its provider keys. Its API keys stay revoked. @returns whether it does */
  async restore(caller: Caller, due: DueOrganization): Promise<boolean> {
    const restored = await this.#changeDue<ChangedOrganization>(caller, due, async (queries, ended) => {
      const { id, endedAt, destruction } = ended;
      if (destruction !== null) return null;
      await markLiving(queries, id);
      await this.#dependencies.belongings.showProviderKeys(queries, id, endedAt);
      return { result: { id }, events: [eventOf(id, 'organization.restored')] };
    });
    return restored !== null;
  }

  /** Revokes what one transaction could not. */
  async revokeRest({ id, endedAt }: Pick<DueOrganization, 'id' | 'endedAt'>): Promise<void> {
    const { database, belongings } = this.#dependencies;
    const some = { at: endedAt, most: KEYS_AT_ONCE };
    for (let revoked = KEYS_AT_ONCE; revoked === KEYS_AT_ONCE; ) {
      revoked = await database.transaction((queries) => belongings.revokeApiKeys(queries, id, some));
    }
  }

  /** Of one whose destruction has begun: it has ended for good. */
  #destroyMore(caller: Caller, { id }: EndedOrganization, limitMs?: number): Promise<EndedOrganization> {
    const work = async (queries: Queries) => {
      const organization = await lockOrganization(queries, { id });
      if (!organization?.endedAt) throw new Error('An organisation that is being destroyed is not there, or lives');
      return destroySome(this.#dependencies.belongings, queries, { ...organization, endedAt: organization.endedAt });
    };
    return this.#change(caller, work, limitMs);
  }

  /** Null where the organisation is not what it was when it was found to be due, or `work` does nothing. */
  async #changeDue<T extends ChangedOrganization>(
    caller: Caller,
    { id, endedAt }: DueOrganization,
    work: (queries: Queries, organization: Organization & { endedAt: Date }) => Promise<Changed<T> | null>,
  ): Promise<T | null> {
    let changed: T | null = null;
    await this.#change<ChangedOrganization>(caller, async (queries) => {
      const organization = await lockOrganization(queries, { id });
      const isDue = organization?.destroyedAt === null && organization.endedAt?.getTime() === endedAt.getTime();
      const done = isDue ? await work(queries, { ...organization, endedAt }) : null;
      changed = done?.result ?? null;
      return done ?? { result: { id }, events: [] };
    });
    return changed;
  }

  /** Once it is answered this replica answers nothing from before; the others are told by the database. */
  async #change<T extends ChangedOrganization>(
    caller: Caller,
    work: (queries: Queries) => Promise<Changed<T>>,
    limitMs?: number,
  ): Promise<T> {
    const { audit, changes } = this.#dependencies;
    const result = await audit.change(caller, work, limitMs);
    changes.announce({ kind: 'organization-changed', organizationId: result.id });
    for (const dataKeyId of result.end?.destroyed.dataKeys ?? []) {
      changes.announce({ kind: 'data-key-removed', dataKeyId });
    }
    return result;
  }

  async #lockOrMake(queries: Queries, clerkOrgId: string): Promise<Organization> {
    await insertOrganization(queries, { id: uuidv7(), clerkOrgId });
    const organization = await lockOrganization(queries, { clerkOrgId });
    if (organization === undefined) throw new Error('An organisation is missing right after it was made');
    return organization;
  }

  /** From now on it is refused. @returns when that was */
  async #end(queries: Queries, id: string): Promise<Date> {
    const endedAt = await markEnded(queries, id);
    await this.#dependencies.belongings.hideProviderKeys(queries, id, endedAt);
    return endedAt;
  }
}
