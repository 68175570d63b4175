import { createServer } from 'node:http';
import express from 'express';
import pg from 'pg';
import { bearerOf, hashOf } from './bearer.ts';
import { listen, required } from './listen.ts';

/**
 * What a usage limit costs whoever does it in the obvious way: one conditional UPDATE for each request, committed, and then
 * the answer. It looks nothing else up, and has as many connections to PostgreSQL as the service.
 */
const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: 10 });
const text =
  'update naive.uses set remaining = remaining - 1 where key_hash = $1 and remaining > 0 returning remaining';

const app = express();
app.get('/validate', (request, response, next) => {
  pool
    .query<{ remaining: string }>({ name: 'use', text, values: [hashOf(bearerOf(request))] })
    .then(({ rows: [row] }) => {
      if (row === undefined) response.status(403).json({ valid: false });
      else response.json({ valid: true, remainingUses: Number(row.remaining) });
    }, next);
});

listen(createServer(app), () => pool.end());
