import { uuidv7 } from 'uuidv7';
import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import { Rounds } from '../rounds.ts';
import { claimDue, type DueOrganization, giveBack, type NextTime } from './ending-store.ts';
import type { OrganizationEndings } from './endings.ts';

/** Whether Clerk knows an organisation. Rejects when Clerk gives no answer, or one that leaves it open. */
export type KnownToClerk = (clerkOrgId: string) => Promise<boolean>;

/** What became of an organisation that has ended. `kept`: Clerk could not be asked, and its secrets stay until it can. */
export type SweepOutcome = 'destroyed' | 'restored' | 'kept';

interface Dependencies {
  database: Database;
  endings: OrganizationEndings;
  /** null: there is no Clerk to ask. */
  knownToClerk: KnownToClerk | null;
  onOutcome: (outcome: SweepOutcome, organizationId: string) => void;
  /** Told of a round that ended early. */
  onFailure: (error: unknown) => void;
}

/** Longer than Clerk and the database together ever take. What a replica had taken that died is taken again after it. */
const CLAIMED_FOR_MS = 120_000;
/** When Clerk gave no answer. */
const ASKED_AGAIN_AFTER_MS = 10 * 60_000;
/** When there is no Clerk: somebody may configure it yet. */
const LOOKED_AT_AGAIN_AFTER_MS = 24 * 60 * 60_000;

/**
 * Finishes what was begun when organisations ended: revokes what one transaction could not, goes on with destructions that
 * are under way, and destroys the secrets of those whose time is over, if Clerk still does not know them. On every replica,
 * each organisation on one of them.
 */
export class EndingSweep {
  readonly #dependencies: Dependencies;
  readonly #rounds: Rounds;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#rounds = new Rounds((isWanted) => this.#round(isWanted));
  }

  start(intervalMs: number): void {
    this.#rounds.start(intervalMs);
  }

  stop(): void {
    this.#rounds.stop();
  }

  async #round(isWanted: () => boolean): Promise<void> {
    try {
      let goOn = true;
      while (goOn && isWanted()) goOn = await this.#next(isWanted);
    } catch (error) {
      // What was taken is taken again, here or on another replica.
      if (isWanted()) this.#dependencies.onFailure(error);
    }
  }

  /** @returns whether there may be another one to look at in this round */
  async #next(isWanted: () => boolean): Promise<boolean> {
    const { database, endings } = this.#dependencies;
    const due = await database.transaction((queries) => claimDue(queries, CLAIMED_FOR_MS));
    if (due === undefined) return false;
    const destroy = () => this.#tellOf('destroyed', due, (caller) => endings.destroyDue(caller, due, isWanted));
    if (due.destruction !== null) {
      // It has begun: whatever Clerk says now, there is no way back.
      await destroy();
      return true;
    }
    await endings.revokeRest(due);
    const giveBackUntil = (next: NextTime) => database.transaction((queries) => giveBack(queries, due, next));
    if (due.destroyedAt !== null) {
      await giveBackUntil(null);
      return true;
    }
    const known = await this.#askClerk(due);
    if (known === 'unanswered') {
      await giveBackUntil({ inMs: ASKED_AGAIN_AFTER_MS });
      return false; // the others wait for a Clerk that answers
    }
    if (known === 'no clerk') await giveBackUntil({ inMs: LOOKED_AT_AGAIN_AFTER_MS });
    else if (known) await this.#tellOf('restored', due, (caller) => endings.restore(caller, due));
    else if (due.mayBeDestroyed) await destroy();
    else await giveBackUntil('when it may be destroyed');
    return true;
  }

  async #askClerk({ id, clerkOrgId }: DueOrganization): Promise<boolean | 'unanswered' | 'no clerk'> {
    const { knownToClerk, onOutcome } = this.#dependencies;
    const known =
      knownToClerk === null ? 'no clerk' : await knownToClerk(clerkOrgId).catch(() => 'unanswered' as const);
    if (typeof known === 'string') onOutcome('kept', id);
    return known;
  }

  async #tellOf(outcome: SweepOutcome, { id }: DueOrganization, act: (caller: Caller) => Promise<boolean>) {
    const caller: Caller = { kind: 'system', name: 'ended-organizations', requestId: uuidv7(), address: null };
    if (await act(caller)) this.#dependencies.onOutcome(outcome, id);
  }
}
