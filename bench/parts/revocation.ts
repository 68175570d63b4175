import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { KNOWN_KEYS } from '../bench.ts';
import { query } from '../database.ts';
import { ISSUED } from '../fill.ts';
import { hashOf, keysOf } from '../keys.ts';
import { asHolder, Connection, rawRequest } from '../load/connection.ts';
import { UnexpectedAnswers } from '../load/load.ts';
import { offer, type StreamResult } from '../load/offered-rate.ts';
import { watchMachine } from '../measure/disturbance.ts';
import type { RevocationResult, Target } from '../results.ts';
import type { RunningServer } from '../servers.ts';
import { percentilesOfValues } from '../statistics.ts';
import { keyService } from '../subjects.ts';
import { watchKey } from './watch-key.ts';

const REPLICAS = 4;
const REVOCATIONS = 300;
/** Other customers meanwhile, a second and replica. */
const BACKGROUND_RATE = 250;
const LOAD_LIMIT_S = 600;
/** No other part asks about these. */
const FIRST_KEY = 15_000;
const P99_MS = 25;
const WORST_MS = 50;
/** Of a revocation that is answered 503. */
const MOST_TRIES = 5;

/** How long a revoked key is still accepted anywhere, while four replicas serve customers. */
export const revocation = {
  name: 'revocation',
  summary: `the time from an answered revocation to the last acceptance, ${REPLICAS} replicas under load`,
  async run(bench: Bench): Promise<RevocationResult> {
    const { command } = await keyService(bench);
    const count = bench.effort.quick ? REVOCATIONS / 10 : REVOCATIONS;
    const keys = await keysToRevoke(bench, count);
    const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => bench.servers.start(command)));
    try {
      const machine = watchMachine();
      const measured = await underLoad(bench, replicas, () => revokeAll(bench, replicas, keys));
      const result = { replicas: REPLICAS, backgroundRate: BACKGROUND_RATE, ...measured, disturbance: machine() };
      return { revocation: result, notes: [], rounds: [], subjects: [], targets: targetsOf(result) };
    } finally {
      await Promise.all(replicas.map((replica) => replica.stop()));
    }
  },
};

interface KeyToRevoke {
  key: string;
  id: string;
  clerkOrgId: string;
}

async function keysToRevoke(bench: Bench, count: number): Promise<KeyToRevoke[]> {
  const keys = keysOf(ISSUED, FIRST_KEY, FIRST_KEY + count);
  const rows = await query<{ hash: string; id: string; clerk_org_id: string }>(
    await bench.serviceDatabase(),
    `select encode(k.key_hash, 'hex') as hash, k.id, o.clerk_org_id from key_service.api_keys k
     join key_service.organizations o on o.id = k.organization_id
     where encode(k.key_hash, 'hex') = any($1) and k.revoked_at is null`,
    [keys.map((key) => hashOf(key).toString('hex'))],
  );
  const byHash = new Map(rows.map((row) => [row.hash, row]));
  return keys.flatMap((key) => {
    const row = byHash.get(hashOf(key).toString('hex'));
    return row === undefined ? [] : [{ key, id: row.id, clerkOrgId: row.clerk_org_id }];
  });
}

/** Other customers' known keys on every replica, for as long as the work takes. */
async function underLoad<T extends object>({ signal }: Bench, replicas: RunningServer[], work: () => Promise<T>) {
  const requests = keysOf(ISSUED, 0, KNOWN_KEYS).map((key) => asHolder(key));
  let asked = 0;
  const streams = replicas.map(({ port }) => ({
    port,
    rate: BACKGROUND_RATE,
    connections: 8,
    next: () => requests[asked++ % requests.length] ?? '',
  }));
  const stop = new AbortController();
  const background = offer(streams, { seconds: LOAD_LIMIT_S, signal, stop: stop.signal });
  let done: T | undefined;
  try {
    done = await Promise.race([work(), background.then(() => undefined)]);
  } finally {
    stop.abort();
    await background.catch(() => {});
  }
  if (done === undefined) throw new Error('The load ended before the work');
  const customers: StreamResult['statuses'] = {};
  for (const { statuses } of await background) {
    for (const [status, count] of Object.entries(statuses)) customers[+status] = (customers[+status] ?? 0) + count;
  }
  if (Object.keys(customers).some((status) => !['200', '503'].includes(status))) {
    throw new UnexpectedAnswers(`Other customers were answered ${JSON.stringify(customers)}`);
  }
  return { ...done, customers };
}

async function revokeAll(bench: Bench, replicas: RunningServer[], keys: KeyToRevoke[]) {
  const lagsMs: number[] = [];
  const sentLagsMs: number[] = [];
  const revokesMs: number[] = [];
  let retried = 0;
  const ports = replicas.map(({ port }) => port);
  for (const [turn, { key, id, clerkOrgId }] of keys.entries()) {
    bench.signal.throwIfAborted();
    const request = rawRequest('DELETE', `/internal/api-keys/${id}?clerkOrgId=${clerkOrgId}`, {
      'X-Service-Key': bench.serviceKey,
    });
    let tries = 0;
    const watched = await watchKey(ports, key, async () => {
      // At no fixed place between two probes of the change feed.
      await sleep(5 + Math.random() * 20);
      for (let status = 503; status === 503 && tries < MOST_TRIES; tries += 1) {
        const revoker = await Connection.open(ports[turn % ports.length] ?? 0);
        const sent = performance.now();
        const answer = await revoker.send(request).finally(() => revoker.close());
        status = answer.status;
        if (status === 200) revokesMs.push(performance.now() - sent);
        else if (status !== 503) throw new UnexpectedAnswers(`A revocation was answered ${status}: ${answer.body}`);
      }
    });
    if (tries > 1) {
      // What was answered 503 may have been done all the same: when, nobody was told.
      retried += 1;
      continue;
    }
    lagsMs.push(Math.max(0, watched.lastAcceptedAt - watched.doneAt));
    sentLagsMs.push(Math.max(0, watched.lastAcceptedSentAt - watched.doneAt));
  }
  return { lagsMs, sentLagsMs, retried, revokeMs: percentilesOfValues(revokesMs) };
}

function targetsOf({ lagsMs, customers, retried }: RevocationResult['revocation']): Target[] {
  const { p99 } = percentilesOfValues(lagsMs);
  const worst = Math.max(...lagsMs);
  const refused = customers[503] ?? 0;
  return [
    {
      text: `From an answered revocation to the last acceptance anywhere, p99: at most ${P99_MS} ms`,
      value: `${p99.toFixed(1)} ms`,
      met: p99 <= P99_MS,
    },
    { text: `The same, worst: at most ${WORST_MS} ms`, value: `${worst.toFixed(1)} ms`, met: worst <= WORST_MS },
    { text: 'Revocations that were answered 503 at first: none', value: String(retried), met: retried === 0 },
    { text: 'Other customers that were answered 503 meanwhile: none', value: String(refused), met: refused === 0 },
  ];
}
