import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { Queries } from '../../src/database/queries.ts';
import { Janitor, type Sweep } from '../../src/janitor/janitor.ts';
import { execute } from '../support/database-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const EVERY_MS = 10;

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
  await execute(own.url, 'create table crumbs (id integer primary key, expired boolean not null)');
});
afterAll(() => own.drop());

interface Replica {
  janitor: Janitor;
  database: Database;
  batches: [name: string, rows: number][];
  swept: [name: string, rows: number][];
  failures: [name: string, error: unknown][];
}

let replicas: Replica[] = [];
beforeEach(() => execute(own.url, 'truncate crumbs'));
afterEach(async () => {
  for (const { janitor, database } of replicas) {
    janitor.stop();
    await database.close(1_000);
  }
  replicas = [];
});

function startReplica(...sweeps: Sweep[]): Replica {
  const database = openDatabase({
    server: { url: own.url, pooled: false },
    poolMax: 4,
    onIdleConnectionLost: () => {},
  });
  const told: Omit<Replica, 'janitor' | 'database'> = { batches: [], swept: [], failures: [] };
  const janitor = new Janitor({
    database,
    sweeps,
    onBatch: (...batch) => told.batches.push(batch),
    onSwept: (...swept) => told.swept.push(swept),
    onFailure: (...failure) => told.failures.push(failure),
  });
  const replica = { janitor, database, ...told };
  replicas.push(replica);
  janitor.start(EVERY_MS);
  return replica;
}

async function sweepCrumbs(queries: Queries, limit: number): Promise<number> {
  const { rowCount } = await queries.execute(sql`
    delete from crumbs where id in (select id from crumbs where expired limit ${limit} for update skip locked)`);
  return rowCount ?? 0;
}
const crumbs: Sweep = { name: 'crumbs', sweep: sweepCrumbs };

const spill = (count: number) =>
  execute(own.url, 'insert into crumbs select n, n > 3 from generate_series(1, $1) n', [count]);
const left = async () =>
  (await execute<{ id: number }>(own.url, 'select id from crumbs order by id')).map(({ id }) => id);

describe('What has expired', () => {
  it('is removed in batches, and nothing else is', async () => {
    await spill(1_203);
    const { batches, swept } = startReplica(crumbs);
    await expect.poll(left).toEqual([1, 2, 3]);
    await expect.poll(() => swept).toEqual([['crumbs', 1_200]]);
    expect(batches.map(([, rows]) => rows)).toEqual([500, 500, 200]);
  });

  it('is removed when it expires, round after round', async () => {
    await spill(4);
    startReplica(crumbs);
    await expect.poll(left).toEqual([1, 2, 3]);
    await execute(own.url, 'update crumbs set expired = true where id = 2');
    await expect.poll(left).toEqual([1, 3]);
  });

  it('is removed by one replica at a time', async () => {
    await spill(5_003);
    let [sweeping, most] = [0, 0];
    const watched: Sweep = {
      name: 'crumbs',
      async sweep(queries, limit) {
        sweeping += 1;
        most = Math.max(most, sweeping);
        const rows = await sweepCrumbs(queries, limit);
        // The turn is kept until the commit, which comes after this.
        sweeping -= 1;
        return rows;
      },
    };
    const all = Array.from({ length: 4 }, () => startReplica(watched));
    await expect.poll(left, { timeout: 10_000 }).toEqual([1, 2, 3]);
    const removed = () => all.flatMap(({ batches }) => batches.map(([, rows]) => rows));
    await expect.poll(() => removed().reduce((sum, rows) => sum + rows, 0)).toBe(5_000);
    expect(most).toBe(1);
  });

  it('keeps nobody waiting who has the turn of another', async () => {
    await spill(10);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let holds = false;
    startReplica({
      name: 'crumbs',
      async sweep() {
        holds = true;
        await held;
        return 0;
      },
    });
    await expect.poll(() => holds).toBe(true);
    let turns = 0;
    const other = startReplica({
      name: 'crumbs',
      async sweep(queries, limit) {
        turns += 1;
        return sweepCrumbs(queries, limit);
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 20 * EVERY_MS));
    expect([turns, other.failures]).toEqual([0, []]);
    letGo();
    await expect.poll(left).toEqual([1, 2, 3]);
  });
});

describe('A kind that cannot be swept', () => {
  it('keeps no other from being swept, is told of, and is tried again', async () => {
    await spill(10);
    let broken = true;
    const { failures } = startReplica(
      {
        name: 'stains',
        async sweep() {
          if (broken) throw new Error('They do not come out');
          return 0;
        },
      },
      crumbs,
    );
    await expect.poll(left).toEqual([1, 2, 3]);
    await expect.poll(() => failures.length).toBeGreaterThan(1);
    expect(failures[0]).toEqual(['stains', new Error('They do not come out')]);
    broken = false;
    const before = failures.length;
    await new Promise((resolve) => setTimeout(resolve, 10 * EVERY_MS));
    expect(failures.length).toBeLessThanOrEqual(before + 1);
  });
});

describe('A stop', () => {
  it('is waited for by no batch but the one that runs, and nothing is told of what it ends', async () => {
    await spill(20_000);
    const { janitor, database, batches, failures } = startReplica(crumbs);
    await expect.poll(() => batches.length).toBeGreaterThan(0);
    janitor.stop();
    const began = performance.now();
    await database.close(1_000);
    expect(performance.now() - began).toBeLessThan(900);
    const stoppedAt = batches.length;
    await new Promise((resolve) => setTimeout(resolve, 20 * EVERY_MS));
    expect(batches.length).toBeLessThanOrEqual(stoppedAt + 1);
    expect((await left()).length).toBeGreaterThan(10_000);
    expect(failures).toEqual([]);
  });
});
