import { createServer } from 'node:http';
import express from 'express';
import pg from 'pg';
import { bearerOf, hashOf } from './bearer.ts';
import { listen, required } from './listen.ts';

/**
 * Express and one prepared look-up a request: what a careful service without a cache has to pay. It reads the same rows
 * as Key Service. STATEMENT chooses the key's row alone, or all that an answer of Key Service is made of.
 */
const STATEMENTS = {
  row: `select id, organization_id, name, environment, enabled, scopes, metadata, expires_at, revoked_at
    from key_service.api_keys where key_hash = $1`,
  answer: `select k.id, k.name, k.environment, k.enabled, k.scopes, k.metadata, k.expires_at, k.revoked_at,
      o.id as organization_id, o.clerk_org_id,
      array(select p.provider from key_service.provider_keys p
        where p.organization_id = o.id and p.deleted_at is null order by p.provider) as configured_providers
    from key_service.api_keys k join key_service.organizations o on o.id = k.organization_id where k.key_hash = $1`,
};
const name = required('STATEMENT') as keyof typeof STATEMENTS;
const text = STATEMENTS[name];
const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: 10 });

/** A row of either statement; the columns of an organisation are in one of them alone. */
interface Row {
  id: string;
  name: string | null;
  environment: string;
  enabled: boolean;
  scopes: string[] | null;
  metadata: object;
  expires_at: Date | null;
  revoked_at: Date | null;
  organization_id: string;
  clerk_org_id?: string;
  configured_providers?: string[];
}

function isGood(key: Row | undefined): key is Row {
  return key?.enabled === true && key.revoked_at === null && (key.expires_at === null || key.expires_at > new Date());
}

const app = express();
app.get('/validate', (request, response, next) => {
  pool.query<Row>({ name, text, values: [hashOf(bearerOf(request))] }).then(({ rows: [key] }) => {
    if (!isGood(key)) {
      response.status(401).json({ valid: false });
    } else {
      response.json({
        valid: true,
        orgId: key.organization_id,
        clerkOrgId: key.clerk_org_id,
        configuredProviders: key.configured_providers,
        apiKey: {
          id: key.id,
          name: key.name,
          environment: key.environment,
          scopes: key.scopes,
          metadata: key.metadata,
          expiresAt: key.expires_at,
        },
      });
    }
  }, next);
});

listen(createServer(app), () => pool.end());
