import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import express from 'express';
import pg from 'pg';
import { listen, required } from './listen.ts';

/**
 * What recording every reveal costs whoever does it in the obvious way: one INSERT, committed, and then the answer. Into a
 * table of the same columns and indexes as the service's, into as many chains as are asked for there, with as many
 * connections. It looks up, opens and chains nothing.
 */
const pool = new pg.Pool({ connectionString: required('DATABASE_URL'), max: 10 });
const text = `insert into naive.audit_events (id, chain, sequence, occurred_at, actor_kind, actor, action, target_type,
    target_id, provider, request_id, address, details, data_key_id, mac)
  values ($1, $2, $3, now(), 'api-key', $4, 'provider_key.revealed', 'provider-key', $5, $6, $7, $8, $9, $10, $11)`;
const chains = Array.from({ length: 10_000 }, () => randomUUID());
const id = randomUUID();
const mac = randomBytes(32);
const answer = { provider: 'openai', key: 'k'.repeat(57), version: 1, source: 'own' };
let sequence = 0;

const app = express();
app.get('/validate', (_request, response) => {
  response.json(answer);
});
app.get('/validate/keys/:provider', (request, response, next) => {
  sequence += 1;
  const { provider } = request.params;
  const address = request.socket.remoteAddress;
  const details = '{"version": 1, "source": "own"}';
  const values = [
    randomUUID(),
    chains[sequence % chains.length],
    sequence,
    id,
    id,
    provider,
    randomUUID(),
    address,
    details,
    id,
    mac,
  ];
  pool.query({ name: 'record', text, values }).then(() => response.json({ ...answer, provider }), next);
});

listen(createServer(app), () => pool.end());
