import { and, asc, eq, lt, lte, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { auditCheckpoints, auditEvents } from '../database/schema/index.ts';
import type { StoredCheckpoint } from './chain-verifier.ts';

/** Some chains that have events from before. */
export async function findChainsWithOld(
  queries: Queries,
  before: Date,
  { except, sample }: { except: readonly string[]; sample: number },
): Promise<string[]> {
  const oldest = queries
    .select({ chain: auditEvents.chain })
    .from(auditEvents)
    .where(and(lt(auditEvents.occurredAt, before), sql`${auditEvents.chain} <> all(${sql.param(except)}::uuid[])`))
    .orderBy(asc(auditEvents.occurredAt))
    .limit(sample)
    .as('oldest');
  const rows = await queries.select({ chain: oldest.chain }).from(oldest).groupBy(oldest.chain).orderBy(oldest.chain);
  return rows.map(({ chain }) => chain);
}

export async function saveCheckpoint(queries: Queries, { text, signature }: StoredCheckpoint): Promise<void> {
  const row = {
    chain: text.chain,
    sequence: Number(text.sequence),
    mac: Buffer.from(text.mac, 'hex'),
    cutAt: new Date(Number(text.cutAt)),
    dataKeyId: text.dataKeyId,
    signature,
  };
  const { chain: _, ...set } = row;
  await queries.insert(auditCheckpoints).values(row).onConflictDoUpdate({ target: auditCheckpoints.chain, set });
}

export async function deleteUpTo(queries: Queries, chain: string, sequence: number): Promise<void> {
  await queries.delete(auditEvents).where(and(eq(auditEvents.chain, chain), lte(auditEvents.sequence, sequence)));
}
