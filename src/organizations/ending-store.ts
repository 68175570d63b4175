import { and, asc, eq, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { type Destroyed, type DestroyedSoFar, organizations } from '../database/schema/index.ts';

/** An organisation with all that is known of its end. */
export interface Organization {
  id: string;
  clerkOrgId: string;
  /** null: it lives. */
  endedAt: Date | null;
  destroyAfter: Date | null;
  destroyedAt: Date | null;
  destroyed: Destroyed | null;
  /** What is destroyed so far of one whose destruction has begun and is not finished. */
  destruction: DestroyedSoFar | null;
}

const columns = {
  id: organizations.id,
  clerkOrgId: organizations.clerkOrgId,
  endedAt: organizations.endedAt,
  destroyAfter: organizations.destroyAfter,
  destroyedAt: organizations.destroyedAt,
  destroyed: organizations.destroyed,
  destruction: organizations.destruction,
};

/** Locks an organisation until the transaction ends: it waits for whoever is storing something for it, and they for it. */
export async function lockOrganization(
  queries: Queries,
  which: { id: string } | { clerkOrgId: string },
): Promise<Organization | undefined> {
  const [row] = await queries
    .select(columns)
    .from(organizations)
    .where('id' in which ? eq(organizations.id, which.id) : eq(organizations.clerkOrgId, which.clerkOrgId))
    .for('update');
  return row;
}

/** From now on: not from when the transaction began, since it may have waited for keys that were issued meanwhile. */
export async function markEnded(queries: Queries, id: string): Promise<Date> {
  const [row] = await queries
    .update(organizations)
    .set({ endedAt: sql`clock_timestamp()` })
    .where(eq(organizations.id, id))
    .returning({ endedAt: organizations.endedAt });
  if (!row?.endedAt) throw new Error('An organisation that is locked is not there');
  return row.endedAt;
}

/** Its secrets may be destroyed after so many days. */
export async function scheduleDestruction(queries: Queries, id: string, graceDays: number): Promise<void> {
  const after = sql`${organizations.endedAt} + make_interval(days => ${graceDays})`;
  await queries.update(organizations).set({ destroyAfter: after, dueAt: after }).where(eq(organizations.id, id));
}

export async function markDestroyed(queries: Queries, id: string, destroyed: Destroyed): Promise<Date> {
  const [row] = await queries
    .update(organizations)
    .set({ destroyedAt: sql`clock_timestamp()`, destroyed, destruction: null, destroyAfter: null, dueAt: null })
    .where(eq(organizations.id, id))
    .returning({ destroyedAt: organizations.destroyedAt });
  if (!row?.destroyedAt) throw new Error('An organisation that is locked is not there');
  return row.destroyedAt;
}

/** It has begun; if whoever is at it stops, it is gone on with after so long. */
export async function noteDestruction(
  queries: Queries,
  id: string,
  destruction: DestroyedSoFar,
  { dueInMs }: { dueInMs: number },
): Promise<void> {
  await queries
    .update(organizations)
    .set({ destruction, dueAt: instantOf({ inMs: dueInMs }) })
    .where(eq(organizations.id, id));
}

export async function markLiving(queries: Queries, id: string): Promise<void> {
  await queries
    .update(organizations)
    .set({ endedAt: null, destroyAfter: null, dueAt: null })
    .where(eq(organizations.id, id));
}

/** One that has ended and was not destroyed is looked at soon. */
export async function makeDue(queries: Queries, clerkOrgId: string): Promise<void> {
  await queries
    .update(organizations)
    .set({ dueAt: sql`now()` })
    .where(
      and(
        eq(organizations.clerkOrgId, clerkOrgId),
        isNotNull(organizations.endedAt),
        isNull(organizations.destroyedAt),
      ),
    );
}

/** When there is something to be done about its end; null for never. */
export type NextTime = 'now' | 'when it may be destroyed' | { inMs: number } | null;

export async function setDue(queries: Queries, id: string, next: NextTime): Promise<void> {
  await queries
    .update(organizations)
    .set({ dueAt: instantOf(next) })
    .where(eq(organizations.id, id));
}

/** Whose end has something to be done about. */
export interface DueOrganization extends Organization {
  endedAt: Date;
  /** Nobody else takes it before. */
  claimedUntil: Date;
  /** By the clock of the database. */
  mayBeDestroyed: boolean;
}

/** Gives back what was taken, unless somebody has said meanwhile when it is due. */
export async function giveBack(
  queries: Queries,
  { id, claimedUntil }: Pick<DueOrganization, 'id' | 'claimedUntil'>,
  next: NextTime,
): Promise<void> {
  await queries
    .update(organizations)
    .set({ dueAt: instantOf(next) })
    .where(and(eq(organizations.id, id), eq(organizations.dueAt, claimedUntil)));
}

/**
 * Takes the organisation that has been due for longest, for so long: no other replica takes it meanwhile, and if this one
 * dies another one will.
 */
export async function claimDue(queries: Queries, claimedForMs: number): Promise<DueOrganization | undefined> {
  const longestDue = queries
    .select({ id: organizations.id })
    .from(organizations)
    .where(lte(organizations.dueAt, sql`now()`))
    .orderBy(asc(organizations.dueAt))
    .limit(1)
    .for('no key update', { skipLocked: true });
  const [row] = await queries
    .update(organizations)
    .set({ dueAt: instantOf({ inMs: claimedForMs }) })
    .where(eq(organizations.id, longestDue))
    .returning({
      ...columns,
      claimedUntil: organizations.dueAt,
      mayBeDestroyed: sql<boolean>`coalesce(${organizations.destroyAfter} <= now(), false)`,
    });
  if (row === undefined) return undefined;
  const { endedAt, claimedUntil } = row;
  // A constraint of the table says so.
  if (endedAt === null || claimedUntil === null) throw new Error('An organisation is due that has not ended');
  return { ...row, endedAt, claimedUntil };
}

function instantOf(next: NextTime): SQL | null {
  if (next === null) return null;
  if (next === 'now') return sql`now()`;
  if (next === 'when it may be destroyed') return sql`${organizations.destroyAfter}`;
  return sql`now() + make_interval(secs => ${next.inMs / 1000})`;
}
