import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect } from 'vitest';
import { type Answer, type Client, SERVICE_KEY } from './client.ts';

export const newIdempotencyKey = () => randomUUID();

/** A POST with an Idempotency-Key, as root unless told otherwise. */
export function keyed(
  service: Pick<Client, 'request'>,
  key: string,
  path: string,
  body: unknown,
  serviceKey = SERVICE_KEY,
): Promise<Answer> {
  const headers = { 'X-Service-Key': serviceKey, 'Idempotency-Key': key };
  return service.request('POST', path, { body, headers });
}

/** Locks the row of an organisation: whoever wants to store something for it waits for up to a second. */
export async function holdOrganization(databaseUrl: string, clerkOrgId: string) {
  const [locker, watcher] = [0, 1].map(() => new pg.Client({ connectionString: databaseUrl })) as [
    pg.Client,
    pg.Client,
  ];
  await Promise.all([locker.connect(), watcher.connect()]);
  await locker.query('begin');
  await locker.query('select 1 from key_service.organizations where clerk_org_id = $1 for update', [clerkOrgId]);
  const waiting = async () => {
    const { rowCount } = await watcher.query(
      "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    return rowCount;
  };
  return {
    /** Resolves when so many wait. */
    untilWaiting: (count: number) => expect.poll(waiting, { interval: 5, timeout: 5_000 }).toBe(count),
    async release() {
      await locker.query('rollback');
      await Promise.all([locker.end(), watcher.end()]);
    },
  };
}

/** Whether it was answered for the first time. */
export const isReplayed = ({ headers }: Answer) => headers.get('idempotency-replayed') === 'true';
