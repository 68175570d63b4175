import { createServer } from 'node:http';
import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { boolean, customType, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import express from 'express';
import pg from 'pg';
import { bearerOf, hashOf } from './bearer.ts';
import { listen, required } from './listen.ts';

/** As most would write it: Express, a look-up with Drizzle, and `lastUsedAt` updated in every request. */
const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
const instant = (name: string) => timestamp(name, { withTimezone: true });
const apiKeys = pgSchema('naive').table('api_keys', {
  id: uuid('id').primaryKey(),
  clerkOrgId: text('clerk_org_id').notNull(),
  keyHash: bytea('key_hash').notNull().unique(),
  name: text('name'),
  enabled: boolean('enabled').notNull(),
  expiresAt: instant('expires_at'),
  revokedAt: instant('revoked_at'),
  lastUsedAt: instant('last_used_at'),
});
const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: 10 });
const database = drizzle(pool);

async function validate(key: string) {
  const [found] = await database
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.keyHash, hashOf(key)));
  const now = new Date();
  if (!found?.enabled || found.revokedAt !== null || (found.expiresAt !== null && found.expiresAt < now)) return null;
  await database.update(apiKeys).set({ lastUsedAt: now }).where(eq(apiKeys.id, found.id));
  return { valid: true, clerkOrgId: found.clerkOrgId, apiKey: { id: found.id, name: found.name } };
}

const app = express();
app.get('/validate', (request, response, next) => {
  validate(bearerOf(request)).then(
    (answer) => (answer === null ? response.status(401).json({ valid: false }) : response.json(answer)),
    next,
  );
});

listen(createServer(app), () => pool.end());
