import pg from 'pg';
import { expect } from 'vitest';
import type { TestService } from './service.ts';

export interface HeldProviderKeys {
  /** Begins a change, and resolves when it waits for its turn; the first to wait has it first. */
  queue<T>(change: () => Promise<T>): Promise<{ answer: Promise<T> }>;
  /** From now on they happen. */
  release(): Promise<void>;
}

/** Locks the row of every provider key, so that what changes one has prepared itself and then waits: for up to 0.9 s. */
export async function holdProviderKeys(service: TestService): Promise<HeldProviderKeys> {
  const clients = [0, 1].map(() => new pg.Client({ connectionString: service.databaseUrl }));
  await Promise.all(clients.map((client) => client.connect()));
  const [locker, watcher] = clients as [pg.Client, pg.Client];
  // Not for those who write when a key was last used, which happens now and then.
  await locker.query('begin; select 1 from key_service.provider_keys for no key update');
  // Not with the locker: in one transaction the statistics stay as they were seen first.
  const waiting = async () => {
    const { rowCount } = await watcher.query(
      "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    return rowCount;
  };
  let queued = 0;
  return {
    async queue(change) {
      const answer = change();
      queued += 1;
      await expect.poll(waiting, { interval: 5 }).toBe(queued);
      return { answer };
    },
    async release() {
      await locker.query('rollback');
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}
