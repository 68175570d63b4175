import { and, asc, desc, eq, gt, gte, lt, lte, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { auditChains, auditCheckpoints, auditEvents, organizations } from '../database/schema.ts';
import type { ListPosition } from '../paging.ts';
import type { StoredCheckpoint, StoredEvent } from './chain-verifier.ts';
import { type AuditAction, type Details, type Head, NO_ORGANIZATION } from './event.ts';
import { canonicalDetails } from './event-mac.ts';

/** An event as it is shown. */
export interface ListedEvent {
  id: string;
  clerkOrgId: string | null;
  sequence: number;
  occurredAt: Date;
  actorKind: string;
  actor: string;
  action: string;
  targetType: string;
  targetId: string | null;
  provider: string | null;
  requestId: string;
  address: string | null;
  details: Details;
}

export interface EventFilter {
  clerkOrgId: string | undefined;
  action: AuditAction | undefined;
  actor: { kind: string; name: string } | undefined;
  /** Inclusive. */
  since: Date | undefined;
  /** Exclusive. */
  until: Date | undefined;
}

const listed = {
  id: auditEvents.id,
  clerkOrgId: organizations.clerkOrgId,
  sequence: auditEvents.sequence,
  occurredAt: auditEvents.occurredAt,
  actorKind: auditEvents.actorKind,
  actor: auditEvents.actor,
  action: auditEvents.action,
  targetType: auditEvents.targetType,
  targetId: auditEvents.targetId,
  provider: auditEvents.provider,
  requestId: auditEvents.requestId,
  address: auditEvents.address,
  details: sql<Details>`${auditEvents.details}`,
};

export async function listEvents(
  queries: Queries,
  { clerkOrgId, action, actor, since, until }: EventFilter,
  { after, limit }: { after: ListPosition | null; limit: number },
): Promise<ListedEvent[]> {
  return queries
    .select(listed)
    .from(auditEvents)
    .leftJoin(organizations, eq(organizations.id, auditEvents.chain))
    .where(
      and(
        clerkOrgId === undefined
          ? undefined
          : sql`${auditEvents.chain} = (select ${organizations.id} from ${organizations}
              where ${organizations.clerkOrgId} = ${clerkOrgId})`,
        // One of a closed set, and not a parameter: so PostgreSQL sees that the index of changes has all of them.
        action === undefined ? undefined : sql`${auditEvents.action} = ${sql.raw(`'${action}'`)}`,
        actor && and(eq(auditEvents.actorKind, actor.kind), eq(auditEvents.actor, actor.name)),
        since && gte(auditEvents.occurredAt, since),
        until && lt(auditEvents.occurredAt, until),
        after === null
          ? undefined
          : sql`(${auditEvents.occurredAt}, ${auditEvents.id}) <
              (${after.createdAt.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(auditEvents.occurredAt), desc(auditEvents.id))
    .limit(limit);
}

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

/** A chain's events after a sequence, in order, as they are shown, with their MACs. */
export async function readForExport(
  queries: Queries,
  chain: string,
  { after, since, until, limit }: { after: number; since: Date | null; until: Date | null; limit: number },
) {
  return queries
    .select({ ...listed, dataKeyId: auditEvents.dataKeyId, mac: auditEvents.mac })
    .from(auditEvents)
    .leftJoin(organizations, eq(organizations.id, auditEvents.chain))
    .where(
      and(
        eq(auditEvents.chain, chain),
        gt(auditEvents.sequence, after),
        since === null ? undefined : gte(auditEvents.occurredAt, since),
        until === null ? undefined : lt(auditEvents.occurredAt, until),
      ),
    )
    .orderBy(asc(auditEvents.sequence))
    .limit(limit);
}

/** "audit cut" in ASCII, as far as it fits: one replica cuts at a time. */
const CUTTING_LOCK = '7022920395498615156';

/** Whether it is our turn, until the transaction ends. */
export async function takeTurnToCut(queries: Queries): Promise<boolean> {
  const { rows } = await queries.execute<{ locked: boolean }>(
    sql`select pg_try_advisory_xact_lock(${sql.raw(CUTTING_LOCK)}) as locked`,
  );
  return rows[0]?.locked === true;
}

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

export async function deleteUpTo(queries: Queries, chain: string, sequence: number): Promise<void> {
  await queries.delete(auditEvents).where(and(eq(auditEvents.chain, chain), lte(auditEvents.sequence, sequence)));
}
