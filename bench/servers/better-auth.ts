import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import express from 'express';
import pg from 'pg';
import { bearerOf } from './bearer.ts';
import { betterAuthOptions } from './better-auth-options.ts';
import { createBornServer } from './born.ts';
import { listen, required } from './listen.ts';

/** better-auth's `verifyApiKey` behind one Express route: what its users pay for each request of theirs. */
const rateLimiting = process.env['RATE_LIMITING'] !== 'off';
const inMemory = process.env['STORAGE'] === 'memory';
const { auth, close } = inMemory ? await inMemoryAuth() : postgresAuth();

const app = express();
app.get('/validate', (request, response, next) => {
  auth.api.verifyApiKey({ body: { key: bearerOf(request) } }).then(({ valid, key }) => {
    if (valid) response.json({ valid, apiKey: key });
    else response.status(401).json({ valid });
  }, next);
});

listen(process.env['PROTOTYPES'] === 'at-birth' ? createBornServer(app) : createServer(app), close);

function postgresAuth() {
  const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: 10 });
  return { auth: betterAuth({ ...betterAuthOptions({ rateLimiting }), database: pool }), close: () => pool.end() };
}

async function inMemoryAuth() {
  const keys = readFileSync(required('KEYS_FILE'), 'utf8').trim().split('\n').values();
  const options = betterAuthOptions({ rateLimiting, memory: new Map(), nextKey: () => keys.next().value ?? '' });
  const database = memoryAdapter({ user: [], session: [], account: [], verification: [], apikey: [] });
  const auth = betterAuth({ ...options, database });
  const count = readFileSync(required('KEYS_FILE'), 'utf8').trim().split('\n').length;
  for (let index = 0; index < count; index += 1) {
    await auth.api.createApiKey({ body: { userId: `user-${index % 100}`, name: `Key ${index}` } });
  }
  return { auth, close: async () => {} };
}
