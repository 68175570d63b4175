import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { auditChains, auditCheckpoints, auditEvents, organizations } from '../database/schema/index.ts';
import type { StoredCheckpoint, StoredEvent } from './chain-verifier.ts';
import { type Head, NO_ORGANIZATION } from './event.ts';
import { canonicalDetails } from './event-mac.ts';

export async function findChain(queries: Queries, clerkOrgId: string): Promise<string | undefined> {
  const [row] = await queries
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.clerkOrgId, clerkOrgId));
  return row?.id;
}

/**
 * Every chain that any table knows or that has to be there, sorted, after the given one: a head or a checkpoint may be gone,
 * all events, or everything but the organisation.
 */
export async function listChains(queries: Queries, after: string | null, limit: number): Promise<string[]> {
  // PostgreSQL would look at every event to find the distinct chains; this goes from one chain to the next in the index.
  const next = (column: SQL, table: SQL) => sql`
    select chain from (
      with recursive found(chain) as (
        (select ${column} from ${table} where ${after === null ? sql`true` : sql`${column} > ${after}::uuid`}
          order by ${column} limit 1)
        union all
        select (select ${column} from ${table} where ${column} > found.chain order by ${column} limit 1)
        from found where found.chain is not null
      )
      select chain from found where chain is not null limit ${limit}
    ) as of_one_table`;
  const tables = [auditEvents, auditChains, auditCheckpoints].map((table) => next(sql`${table.chain}`, sql`${table}`));
  const ofNone = sql`select ${NO_ORGANIZATION}::uuid as chain where ${after}::uuid is null`;
  const known = [ofNone, next(sql`${organizations.id}`, sql`${organizations}`), ...tables];
  const { rows } = await queries.execute<{ chain: string }>(
    sql`${sql.join(known, sql` union `)} order by chain limit ${limit}`,
  );
  return rows.map(({ chain }) => chain);
}

/** The Clerk id of a chain's organisation; null when there is none. */
export async function findOwner(queries: Queries, chain: string): Promise<string | null> {
  const [row] = await queries
    .select({ clerkOrgId: organizations.clerkOrgId })
    .from(organizations)
    .where(eq(organizations.id, chain));
  return row?.clerkOrgId ?? null;
}

export async function findHead(queries: Queries, chain: string): Promise<Head | null> {
  const [row] = await queries.select().from(auditChains).where(eq(auditChains.chain, chain));
  return row ?? null;
}

const milliseconds = (instant: SQL) => sql<string>`(extract(epoch from ${instant}) * 1000)::text`;

export async function findCheckpoint(queries: Queries, chain: string): Promise<StoredCheckpoint | null> {
  const [row] = await queries
    .select({
      chain: auditCheckpoints.chain,
      sequence: sql<string>`${auditCheckpoints.sequence}::text`,
      mac: auditCheckpoints.mac,
      cutAt: milliseconds(sql`${auditCheckpoints.cutAt}`),
      dataKeyId: auditCheckpoints.dataKeyId,
      signature: auditCheckpoints.signature,
    })
    .from(auditCheckpoints)
    .where(eq(auditCheckpoints.chain, chain));
  if (row === undefined) return null;
  const { signature, mac, cutAt, ...text } = row;
  return { signature, text: { ...text, mac: mac.toString('hex'), cutAt: String(Number(cutAt)) } };
}

/** A chain's events after a sequence, in order, as exactly as they stand there. */
export async function readStored(
  queries: Queries,
  chain: string,
  after: number,
  limit: number,
): Promise<StoredEvent[]> {
  const rows = await queries
    .select({
      id: auditEvents.id,
      chain: auditEvents.chain,
      sequence: sql<string>`${auditEvents.sequence}::text`,
      occurredAt: milliseconds(sql`${auditEvents.occurredAt}`),
      actorKind: auditEvents.actorKind,
      actor: auditEvents.actor,
      action: auditEvents.action,
      targetType: auditEvents.targetType,
      targetId: auditEvents.targetId,
      provider: auditEvents.provider,
      requestId: auditEvents.requestId,
      address: auditEvents.address,
      details: sql<string>`${auditEvents.details}::text`,
      dataKeyId: auditEvents.dataKeyId,
      mac: auditEvents.mac,
    })
    .from(auditEvents)
    .where(and(eq(auditEvents.chain, chain), gt(auditEvents.sequence, after)))
    .orderBy(asc(auditEvents.sequence))
    .limit(limit);
  return rows.map(({ mac, ...text }) => ({
    mac,
    text: { ...text, occurredAt: String(Number(text.occurredAt)), details: canonicalDetails(text.details) },
  }));
}
