import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** Each way, so that a connection and what is asked of a new one take longer than a request waits. */
const DELAY_MS = 300;

let proxy: TcpProxy;
let database: Database;
beforeAll(async () => {
  proxy = await startTcpProxy(inject('adminUrl'));
  database = openDatabase({
    server: { url: proxy.through(inject('adminUrl')), pooled: false },
    poolMax: 2,
    onIdleConnectionLost() {},
  });
});
afterAll(async () => {
  await database.close(1_000);
  await proxy.close();
});

const ask = () => database.transaction((queries) => queries.execute('select 1'));

describe('A database that is slow to take connections', () => {
  it('loses none of the pool: it is whole again when the database is', async () => {
    proxy.delay(DELAY_MS);
    const answers = await Promise.allSettled(Array.from({ length: 10 }, ask));
    expect(answers.map(({ status }) => status)).toContain('rejected');
    proxy.delay(0);
    await vi.waitFor(async () => await ask(), { timeout: 5_000 });
    await vi.waitFor(() => {
      const { total, idle, waiting } = database.poolState();
      expect({ busy: total - idle, waiting }).toEqual({ busy: 0, waiting: 0 });
    });
  });
});
