import { randomUUID } from 'node:crypto';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import pg from 'pg';
import { type BenchPostgres, query, withClient } from './database.ts';
import { hashOf, keyOf } from './keys.ts';
import { betterAuthOptions } from './servers/better-auth-options.ts';

/** The series of keys that exist; numbers beyond those in the database were never issued. */
export const ISSUED = 'issued';
export const ORGANIZATIONS = 100;
const BATCH = 20_000;

export function organizationOf(index: number): string {
  return `org_bench_${index % ORGANIZATIONS}`;
}

/** Puts keys into the tables of Key Service, each as its API would have. */
export async function fillServiceDatabase(url: string, count: number): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(
      `insert into key_service.organizations (id, clerk_org_id)
       select gen_random_uuid(), 'org_bench_' || i from generate_series(0, $1::int - 1) i`,
      [ORGANIZATIONS],
    );
    await inBatches(count, async (indexes) => {
      const keys = indexes.map((index) => keyOf(ISSUED, index));
      await client.query(
        `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, name, environment)
         select uuidv7(), o.id, decode(k.hash, 'hex'), 'ks_live_' || k.shown, k.last4, 'Key ' || k.index, 'live'
         from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as k(index, hash, shown, last4)
         join key_service.organizations o on o.clerk_org_id = 'org_bench_' || k.index % $5`,
        [
          indexes,
          keys.map((key) => hashOf(key).toString('hex')),
          keys.map((key) => key.slice(8, 12)),
          keys.map((key) => key.slice(-4)),
          ORGANIZATIONS,
        ],
      );
    });
    await client.query('vacuum (analyze)');
    // Nothing of this is left to be written while somebody measures.
    await client.query('checkpoint');
  });
}

/** The naive service's table, in a schema of its own, with the same keys. */
export async function fillNaive(url: string): Promise<void> {
  await query(
    url,
    `create schema naive;
     create table naive.api_keys (
       id uuid primary key, clerk_org_id text not null, key_hash bytea not null unique, name text,
       enabled boolean not null, expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz);
     insert into naive.api_keys
       select k.id, o.clerk_org_id, k.key_hash, k.name, true from key_service.api_keys k
       join key_service.organizations o on o.id = k.organization_id`,
  );
  await query(url, 'vacuum (analyze) naive.api_keys');
}

/** better-auth's own schema in a database of its own, with the same keys. */
export async function createBetterAuthDatabase(postgres: BenchPostgres, count: number): Promise<string> {
  await query(postgres.urlOf('bench'), 'create database better_auth');
  const url = postgres.urlOf('better_auth');
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  const options = { ...betterAuthOptions({ rateLimiting: true, nextKey: () => keyOf(ISSUED, 0) }), database: pool };
  try {
    await (await getMigrations(options)).runMigrations();
    // One is made by its API; the others are this one, with another id and another key.
    const first = await betterAuth(options).api.createApiKey({ body: { userId: 'user-0', name: 'Key 0' } });
    await inBatches(count, async (indexes) => {
      const others = indexes.filter((index) => index !== 0);
      await pool.query(
        `insert into apikey select (jsonb_populate_record(a, jsonb_build_object('id', k.id, 'key', k.hash))).*
         from unnest($1::text[], $2::text[]) as k(id, hash), apikey a where a.id = $3`,
        [
          others.map(() => randomUUID().replaceAll('-', '')),
          others.map((index) => hashOf(keyOf(ISSUED, index)).toString('base64url')),
          first.id,
        ],
      );
    });
    await pool.query('vacuum (analyze) apikey');
  } finally {
    await pool.end();
  }
  return url;
}

async function inBatches(count: number, work: (indexes: number[]) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    await work(Array.from({ length: Math.min(BATCH, count - from) }, (_, offset) => from + offset));
  }
}
