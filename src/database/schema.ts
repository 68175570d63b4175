import { sql } from 'drizzle-orm';
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import type { Permission } from '../caller.ts';
import type { Json } from '../prepared-json.ts';
import type { RateLimit } from '../rate-limits/rate-limit.ts';

/** A PostgreSQL schema of its own, so that the service can share a database. Drizzle's journal lives in it too. */
export const SCHEMA_NAME = 'key_service';
const keyService = pgSchema(SCHEMA_NAME);

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
/** Milliseconds, as on the wire: what is stored is what is shown. */
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** Also what is written past the service has the form that validations count by. */
const rateLimitFits = (column: AnyPgColumn) =>
  sql`${column} is null or ((${column} ->> 'limit')::int between 1 and 1000000000 and (${column} ->> 'windowSeconds')::int between 1 and 86400) is true`;

/** One that has ended keeps its row: a tombstone, for which nothing is stored any more. See organizations/endings.ts. */
export const organizations = keyService.table(
  'organizations',
  {
    id: uuid('id').primaryKey(),
    clerkOrgId: text('clerk_org_id').notNull().unique(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** null: it lives. */
    endedAt: instant('ended_at'),
    /** Since when its API keys are refused until further notice; null: they are not. */
    suspendedAt: instant('suspended_at'),
    /** Of each of its keys that has none of its own. */
    rateLimit: jsonb('rate_limit').$type<RateLimit>(),
    /** It ended because Clerk said so, and its secrets may be destroyed from then on. */
    destroyAfter: instant('destroy_after'),
    destroyedAt: instant('destroyed_at'),
    destroyed: jsonb('destroyed').$type<Destroyed>(),
    /** Its destruction has begun, and cannot be undone any more: what is destroyed so far. null again when all of it is. */
    destruction: jsonb('destruction').$type<DestroyedSoFar>(),
    /** When there is something left to be done about its end; see organizations/ending-sweep.ts. */
    dueAt: instant('due_at'),
  },
  (table) => [
    index('organizations_due').on(table.dueAt).where(sql`${table.dueAt} is not null`),
    check(
      'organizations_end_fits',
      sql`${table.endedAt} is not null or (${table.destroyAfter} is null and ${table.destroyedAt} is null and ${table.dueAt} is null)`,
    ),
    check('organizations_rate_limit_fits', rateLimitFits(table.rateLimit)),
    check('organizations_destruction_fits', sql`${table.destruction} is null or ${table.endedAt} is not null`),
    check('organizations_destroyed_fits', sql`(${table.destroyedAt} is null) = (${table.destroyed} is null)`),
  ],
);

/** Of a destruction that is not finished. */
export interface DestroyedSoFar {
  /** Providers that it had a key of. */
  providerKeys: number;
  /** Sealed secrets, one for each version that was kept. */
  secrets: number;
}

/** What was destroyed with an organisation, in numbers; of its data keys the ids. */
export interface Destroyed extends DestroyedSoFar {
  /** All that it ever had; all are revoked. */
  apiKeys: number;
  dataKeys: string[];
}

/** API keys are not stored: only their SHA-256, and what is needed to show one. Revoked rows stay for the audit. */
export const apiKeys = keyService.table(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    keyHash: bytea('key_hash').notNull().unique(),
    keyPrefix: text('key_prefix').notNull(),
    last4: text('last4').notNull(),
    name: text('name'),
    environment: text('environment', { enum: ['live', 'test'] }).notNull(),
    enabled: boolean('enabled').notNull().default(true),
    /** null: unrestricted; empty: nothing allowed. */
    scopes: text('scopes').array(),
    metadata: jsonb('metadata').$type<Record<string, Json>>().notNull().default({}),
    /** Ranges of addresses that it may be used from, as `normalRange` writes them; null: anywhere; empty: nowhere. */
    ipAllowList: text('ip_allow_list').array(),
    expiresAt: instant('expires_at'),
    /** null: its organisation's. */
    rateLimit: jsonb('rate_limit').$type<RateLimit>(),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    /** Raised by every change. */
    revision: integer('revision').notNull().default(1),
    revokedAt: instant('revoked_at'),
    /** The key that took its place, and the one whose place it took. */
    rotatedTo: uuid('rotated_to').references((): AnyPgColumn => apiKeys.id),
    rotatedFrom: uuid('rotated_from').references((): AnyPgColumn => apiKeys.id),
    /** How many uses are left, shared with the key that took its place. It stays when the limit is taken away. */
    usageLimitId: uuid('usage_limit_id').references(() => apiKeyUsageLimits.id),
    usageLimited: boolean('usage_limited').notNull().default(false),
  },
  (table) => [
    uniqueIndex('api_keys_rotated_once').on(table.rotatedFrom).where(sql`${table.rotatedFrom} is not null`),
    index('api_keys_newest_first').on(
      table.organizationId,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    check('api_keys_rate_limit_fits', rateLimitFits(table.rateLimit)),
    check('api_keys_hash_is_sha256', sql`octet_length(${table.keyHash}) = 32`),
    check('api_keys_usage_limit_fits', sql`${table.usageLimitId} is not null or not ${table.usageLimited}`),
  ],
);

/**
 * How often keys may still be used, apart from the keys: it changes with each use, which must never make a change of the key
 * wait, nor be announced as one. A key and the one that took its place have one row.
 */
export const apiKeyUsageLimits = keyService.table(
  'api_key_usage_limits',
  {
    id: uuid('id').primaryKey(),
    /** As of the last use. When `refillAt` has come it is `refillAmount`, whatever stands here. */
    remaining: bigint('remaining', { mode: 'number' }).notNull(),
    refillAmount: bigint('refill_amount', { mode: 'number' }),
    refillInterval: text('refill_interval', { enum: ['day', 'month'] }),
    refillAt: instant('refill_at'),
  },
  (table) => [
    check('api_key_usage_limits_not_below_zero', sql`${table.remaining} >= 0`),
    check(
      'api_key_usage_limits_refill_fits',
      sql`(${table.refillAmount} is null) = (${table.refillInterval} is null) and (${table.refillAmount} is null) = (${table.refillAt} is null)`,
    ),
  ],
);

/**
 * Sealed copies of the API keys that can be recovered. Apart from the keys: no validation reads them, and rolling a data key
 * changes no key. A trigger destroys one when its key is revoked or rotated.
 */
export const apiKeyCopies = keyService.table(
  'api_key_copies',
  {
    apiKeyId: uuid('api_key_id')
      .primaryKey()
      .references(() => apiKeys.id),
    /** Repeated from the sealed header, as in `provider_key_versions`. */
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    /** The organisation whose Default key it is, the one of its session; null: an ordinary one. */
    defaultOf: uuid('default_of')
      .unique()
      .references(() => organizations.id),
  },
  (table) => [index().on(table.dataKeyId)],
);

/**
 * When a key was last used, apart from the key: writing it must never make a revocation wait, and it changes every few
 * seconds while the key hardly ever does.
 */
export const apiKeyUses = keyService.table('api_key_uses', {
  id: uuid('api_key_id')
    .primaryKey()
    .references(() => apiKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});

/**
 * How often keys were used: a row for each subject, hour and outcome that was not zero. A subject is an API key, or an
 * organisation, for the sums over its keys: what is asked of it reads no more rows for a thousand keys than for one. No
 * foreign key: counts outlive what they are of, until they are old.
 */
export const usageCounts = keyService.table(
  'usage_counts',
  {
    subjectId: uuid('subject_id').notNull(),
    /** Its beginning, in UTC. */
    hour: instant('hour').notNull(),
    /** `valid`, or an error code; see usage/key-use.ts. */
    outcome: text('outcome').notNull(),
    count: bigint('count', { mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.subjectId, table.hour, table.outcome] }),
    // For the janitor.
    index('usage_counts_by_hour').on(table.hour),
  ],
);

/** Who writes usage, and the last batch that each has written: one whose fate is not known is not written twice. */
export const usageWriters = keyService.table('usage_writers', {
  id: uuid('id').primaryKey(),
  batch: bigint('batch', { mode: 'number' }).notNull(),
  writtenAt: instant('written_at').notNull(),
});

/** The platform's own services, beside the root caller, whose key is configured. Stored like API keys. */
export const serviceKeys = keyService.table(
  'service_keys',
  {
    id: uuid('id').primaryKey(),
    /** Two keys may have one name, for rotation: they are one caller. */
    name: text('name').notNull(),
    keyHash: bytea('key_hash').notNull().unique(),
    keyPrefix: text('key_prefix').notNull(),
    last4: text('last4').notNull(),
    permissions: text('permissions').array().$type<Permission[]>().notNull(),
    /** null: every provider. */
    revealProviders: text('reveal_providers').array(),
    expiresAt: instant('expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    revokedAt: instant('revoked_at'),
  },
  (table) => [check('service_keys_hash_is_sha256', sql`octet_length(${table.keyHash}) = 32`)],
);

export const serviceKeyUses = keyService.table('service_key_uses', {
  id: uuid('service_key_id')
    .primaryKey()
    .references(() => serviceKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});

/** Wrapped by the master key that they name. Retired ones still open what they sealed. */
export const dataKeys = keyService.table(
  'data_keys',
  {
    id: uuid('id').primaryKey(),
    purpose: text('purpose', { enum: ['organization', 'system', 'audit'] }).notNull(),
    organizationId: uuid('organization_id').references(() => organizations.id),
    masterKeyId: text('master_key_id').notNull(),
    wrapped: bytea('wrapped').notNull(),
    /** How often it has sealed; bounded, see data-keys/data-keys.ts. */
    seals: bigint('seals', { mode: 'number' }).notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    retiredAt: instant('retired_at'),
  },
  (table) => [
    uniqueIndex('data_keys_one_current_per_organization')
      .on(table.organizationId)
      .where(sql`${table.retiredAt} is null and ${table.organizationId} is not null`),
    uniqueIndex('data_keys_one_current_per_purpose')
      .on(table.purpose)
      .where(sql`${table.retiredAt} is null and ${table.organizationId} is null`),
    check('data_keys_purpose_fits', sql`(${table.purpose} = 'organization') = (${table.organizationId} is not null)`),
  ],
);

/**
 * One row per organisation and provider, and one per provider of the platform's own key. It outlives its secret, so that a
 * version number is never used twice.
 */
export const providerKeys = keyService.table(
  'provider_keys',
  {
    id: uuid('id').primaryKey(),
    /** null: the platform's own. */
    organizationId: uuid('organization_id').references(() => organizations.id),
    provider: text('provider').notNull(),
    /** The newest version; 0 before the first. */
    version: integer('version').notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    uniqueIndex('provider_keys_one_per_provider').on(table.organizationId, table.provider),
    uniqueIndex('provider_keys_one_of_platform').on(table.provider).where(sql`${table.organizationId} is null`),
  ],
);

/** Where services get an organisation's key of a provider from; without a row it is the organisation's own. */
export const providerKeySources = keyService.table(
  'provider_key_sources',
  {
    organizationId: uuid('organization_id')
      .notNull()
      .references(() => organizations.id),
    provider: text('provider').notNull(),
    source: text('source', { enum: ['platform', 'own-then-platform'] }).notNull(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.provider] })],
);

/** Whose secrets are revealed to nobody until further notice: an organisation's, or, with the nil UUID, everybody's. */
export const revealFreezes = keyService.table('reveal_freezes', {
  scope: uuid('scope').primaryKey(),
  frozenAt: instant('frozen_at').notNull().defaultNow(),
});

/** The sealed secrets, the newest ten of each key; the format is drawn in encryption/sealed-secret.ts. */
export const providerKeyVersions = keyService.table(
  'provider_key_versions',
  {
    providerKeyId: uuid('provider_key_id')
      .notNull()
      .references(() => providerKeys.id),
    version: integer('version').notNull(),
    /** Repeated from the sealed header, so that the database can say which key holds how many secrets. */
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** What is known of the secret; see provider-keys/key-state.ts. Changing it is not announced: nothing answers with it. */
    status: text('status', { enum: ['valid', 'rejected', 'rate_limited', 'unreachable', 'unchecked'] })
      .notNull()
      .default('unchecked'),
    lastCheckedAt: instant('last_checked_at'),
  },
  (table) => [primaryKey({ columns: [table.providerKeyId, table.version] }), index().on(table.dataKeyId)],
);

export const providerKeyUses = keyService.table('provider_key_uses', {
  id: uuid('provider_key_id')
    .primaryKey()
    .references(() => providerKeys.id),
  lastUsedAt: instant('last_used_at').notNull(),
});

/** What requests with an Idempotency-Key were answered; for a day, see idempotency/reply-in-transaction.ts. */
export const idempotentReplies = keyService.table(
  'idempotent_replies',
  {
    /** SHA-256 of what the key is good for; see idempotency/request-identity.ts. */
    scope: bytea('scope').primaryKey(),
    requestId: text('request_id').notNull(),
    /** The `audit` data key that the MAC was made with. */
    bodyKeyId: uuid('body_key_id').notNull(),
    bodyMac: bytea('body_mac').notNull(),
    dataKeyId: uuid('data_key_id')
      .notNull()
      .references(() => dataKeys.id),
    sealed: bytea('sealed').notNull(),
    createdAt: instant('created_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [
    index().on(table.dataKeyId),
    index('idempotent_replies_by_expiry').on(table.expiresAt),
    check('idempotent_replies_scope_is_sha256', sql`octet_length(${table.scope}) = 32`),
  ],
);

/**
 * What was changed and revealed, one chain of events for each organisation. A chain has the id of its organisation; that of
 * what has none is the nil UUID. No foreign key: the record of an organisation outlives it.
 */
export const auditEvents = keyService.table(
  'audit_events',
  {
    id: uuid('id').notNull(),
    chain: uuid('chain').notNull(),
    /** From 1, without gaps. */
    sequence: bigint('sequence', { mode: 'number' }).notNull(),
    occurredAt: instant('occurred_at').notNull(),
    actorKind: text('actor_kind').notNull(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    targetType: text('target_type').notNull(),
    targetId: text('target_id'),
    provider: text('provider'),
    requestId: text('request_id').notNull(),
    address: text('address'),
    details: jsonb('details').$type<Record<string, Json>>().notNull(),
    /** The `audit` data key that the MAC was made with. */
    dataKeyId: uuid('data_key_id').notNull(),
    /** Over all the columns above and the MAC of the event before; see audit/event-mac.ts. */
    mac: bytea('mac').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.chain, table.sequence] }),
    // Newest first is these, read backwards: what is added is added at their ends.
    index('audit_events_by_time').on(table.occurredAt, table.id),
    index('audit_events_of_chain_by_time').on(table.chain, table.occurredAt, table.id),
    // A change is found among any number of reveals.
    index('audit_events_changes_by_time')
      .on(table.chain, table.occurredAt, table.id)
      .where(sql`${table.action} <> 'provider_key.revealed'`),
  ],
);

/** The newest event of each chain. Whoever adds one locks the row first; it is made with the organisation, by a trigger. */
export const auditChains = keyService.table('audit_chains', {
  chain: uuid('chain').primaryKey(),
  /** 0 before the first event. */
  sequence: bigint('sequence', { mode: 'number' }).notNull().default(0),
  mac: bytea('mac').notNull().default(sql`''::bytea`),
});

/** Where retention has cut a chain: the newest event that is gone, signed like an event. */
export const auditCheckpoints = keyService.table('audit_checkpoints', {
  chain: uuid('chain').primaryKey(),
  sequence: bigint('sequence', { mode: 'number' }).notNull(),
  mac: bytea('mac').notNull(),
  cutAt: instant('cut_at').notNull(),
  dataKeyId: uuid('data_key_id').notNull(),
  signature: bytea('signature').notNull(),
});
