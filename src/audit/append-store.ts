import { asc, type SQL, sql } from 'drizzle-orm';
import type { Database } from '../database/database.ts';
import type { Queries } from '../database/queries.ts';
import { auditChains, auditEvents } from '../database/schema/index.ts';
import type { ChainedEvent, Head } from './event.ts';

/**
 * A process that stops between locking heads and committing lets go of them after this; between the two there is one
 * statement, or none.
 */
const HEADS_HELD_MS = 1_000;
const letGo = sql`(select set_config('idle_in_transaction_session_timeout', ${sql.raw(`'${HEADS_HELD_MS}'`)}, true))`;

const head = { chain: auditChains.chain, sequence: auditChains.sequence, mac: auditChains.mac };

/**
 * Locks the heads of chains until the transaction ends, in one order: two transactions wait for each other, and never both.
 * A chain without a head is left out.
 */
export async function lockHeads(queries: Queries, chains: readonly string[]): Promise<Head[]> {
  return queries
    .select({ ...head, limit: letGo })
    .from(auditChains)
    .where(sql`${auditChains.chain} = any(${sql.param(chains)}::uuid[])`)
    .orderBy(asc(auditChains.chain))
    .for('no key update');
}

/** Stores events and moves the heads of their chains, which are locked, in one statement of one text for any number. */
export async function insertEvents(queries: Queries, events: readonly ChainedEvent[], heads: readonly Head[]) {
  await queries.execute(sql`
    with moved as (
      update ${auditChains} set sequence = head.sequence, mac = head.mac
      from json_to_recordset(${headsText(heads)}::json) as head(chain uuid, sequence bigint, mac bytea)
      where ${auditChains.chain} = head.chain
    )
    ${insertFrom(sql`${eventsText(events)}`)}`);
}

/** What one statement is given to store: events, and the heads of their chains as they were and as they are with them. */
export interface Batch {
  events: readonly ChainedEvent[];
  /** As the events were chained to them. */
  before: readonly Head[];
  after: readonly Head[];
}

export interface AppendStatements {
  /** As they are just now; a chain without a head is left out. */
  readHeads(chains: readonly string[], limitMs: number): Promise<Head[]>;
  /**
   * Stores the events of every chain whose head is still the one they were chained to, and moves it. They are durable when
   * it resolves; what is stored of a chain is all of its events or none.
   *
   * @returns the other chains
   */
  append(batch: Batch, limitMs: number): Promise<Set<string>>;
}

/** The two statements that reveals are recorded with. Each stands alone: a head is locked by nothing but the second. */
export function prepareAppend(database: Database): AppendStatements {
  const read = database.prepare('audit_heads', (queries) =>
    queries
      .select(head)
      .from(auditChains)
      .where(sql`${auditChains.chain} = any(${sql.placeholder('chains')}::uuid[])`),
  );
  const append = database.prepare('append_audit_events', (queries) => {
    // Locked in the order of `lockHeads`, and each before it is moved: so none waits for one who waits for it. PostgreSQL
    // never merges into the rest what locks. Behind a pooler there is a transaction around it, which it may be left in.
    const locked = queries.$with('locked', { chain: sql`chain`.as('chain') }).as(sql`
      select ${auditChains.chain}, ${auditChains.sequence}, ${auditChains.mac}, ${letGo} from ${auditChains}
      where ${auditChains.chain} = any(${sql.placeholder('chains')}::uuid[])
      order by ${auditChains.chain} for no key update`);
    const moved = queries.$with('moved', { chain: sql<string>`moved.chain`.as('chain') }).as(sql`
      update ${auditChains} set sequence = after.sequence, mac = after.mac
      from locked
        join json_to_recordset(${sql.placeholder('before')}::json) as before(chain uuid, sequence bigint, mac bytea)
          on (before.chain, before.sequence, before.mac) = (locked.chain, locked.sequence, locked.mac)
        join json_to_recordset(${sql.placeholder('after')}::json) as after(chain uuid, sequence bigint, mac bytea)
          on after.chain = locked.chain
      where ${auditChains.chain} = locked.chain
      returning ${auditChains.chain} as chain`);
    const stored = queries.$with('stored', {}).as(sql`
      ${insertFrom(sql`${sql.placeholder('events')}`)} where chain in (select moved.chain from moved)`);
    // The number of those that were is as good as their names, which would be a row each. Both together are all of them: an
    // answer that says nothing must not look like one that found nothing to complain of.
    return queries
      .with(locked, moved, stored)
      .select({
        moved: sql<number>`count(*)::int`,
        overtaken: sql<string[]>`array(
          select asked.chain from unnest(${sql.placeholder('chains')}::uuid[]) as asked(chain)
          where asked.chain not in (select moved.chain from moved))::text[]`,
      })
      .from(moved);
  });
  return {
    readHeads: (chains, limitMs) => read({ chains }, limitMs),
    async append({ events, before, after }, limitMs) {
      const chains = before.map(({ chain }) => chain);
      const texts = { before: headsText(before), after: headsText(after), events: eventsText(events) };
      const [result] = await append({ chains, ...texts }, limitMs);
      if (result === undefined || result.moved + result.overtaken.length !== chains.length) {
        throw new Error('Chains are unaccounted for');
      }
      return new Set(result.overtaken);
    },
  };
}

/** @param events a text as `eventsText` makes it */
const insertFrom = (events: SQL) => sql`
    insert into ${auditEvents} (id, chain, sequence, occurred_at, actor_kind, actor, action, target_type, target_id,
      provider, request_id, address, details, data_key_id, mac)
    select id, chain, sequence, "occurredAt", "actorKind", actor, action, "targetType", "targetId",
      provider, "requestId", address, details, "dataKeyId", decode(mac, 'hex')
    from json_to_recordset(${events}::json) as event(id uuid, chain uuid, sequence bigint, "occurredAt" timestamptz,
      "actorKind" text, actor text, action text, "targetType" text, "targetId" text,
      provider text, "requestId" text, address text, details jsonb, "dataKeyId" uuid, mac text)`;

const eventsText = (events: readonly ChainedEvent[]) => JSON.stringify(events);
const headsText = (heads: readonly Head[]) =>
  JSON.stringify(heads.map((each) => ({ ...each, mac: `\\x${each.mac.toString('hex')}` })));
