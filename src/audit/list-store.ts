import { and, asc, desc, eq, gt, gte, lt, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { auditEvents, organizations } from '../database/schema/index.ts';
import type { ListPosition } from '../paging.ts';
import type { AuditAction, Details } from './event.ts';

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
