import { eq, sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { revealFreezes } from '../database/schema/index.ts';

/** What stands in the place of an organisation for all of them, and for what belongs to none. */
export const EVERYWHERE = '00000000-0000-0000-0000-000000000000';

/** @returns since when it is frozen, and whether it was not before */
export async function markFrozen(queries: Queries, scope: string): Promise<{ since: Date; changed: boolean }> {
  const since = { since: revealFreezes.frozenAt };
  const [now] = await queries
    .insert(revealFreezes)
    .values({ scope, frozenAt: sql`clock_timestamp()` })
    .onConflictDoNothing({ target: revealFreezes.scope })
    .returning(since);
  if (now !== undefined) return { ...now, changed: true };
  const [before] = await queries.select(since).from(revealFreezes).where(eq(revealFreezes.scope, scope));
  // Undefined where somebody has ended it between the two.
  return before === undefined ? markFrozen(queries, scope) : { ...before, changed: false };
}

/** @returns whether it was frozen before */
export async function markUnfrozen(queries: Queries, scope: string): Promise<boolean> {
  const { rowCount } = await queries.delete(revealFreezes).where(eq(revealFreezes.scope, scope));
  return rowCount === 1;
}

/** All that is frozen just now: organisations, and EVERYWHERE. */
export function prepareListFrozen(database: Database): () => Promise<string[]> {
  const list = database.prepare('reveal_freezes', (queries) =>
    queries.select({ scope: revealFreezes.scope }).from(revealFreezes),
  );
  return async () => (await list({})).map(({ scope }) => scope);
}
