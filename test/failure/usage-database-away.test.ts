import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** What every flush says, and nothing else does. */
const WRITES_USAGE = 'usage_writers';
const COULD_NOT = 'usage of API keys could not be written; it is kept for the next try';
const eventually = (read: () => unknown) => expect.poll(read, { timeout: 20_000, interval: 50 });

const failures = ({ logLines }: TestService) => logLines.filter(({ msg }) => msg === COULD_NOT).length;

/** What is stored of a key and of its organisation: the same, if all is well. */
async function stored({ sql }: TestService, id: string): Promise<{ key: number; organization: number }> {
  const [row] = await sql<{ key: number; organization: number }>(
    `select coalesce(sum(count) filter (where subject_id = id), 0)::int as key,
       coalesce(sum(count) filter (where subject_id = organization_id), 0)::int as organization
     from key_service.api_keys left join key_service.usage_counts on subject_id in (id, organization_id)
     where id = $1`,
    [id],
  );
  return row ?? { key: 0, organization: 0 };
}
const bothAre = (count: number) => ({ key: count, organization: count });

describe('the network to the database', () => {
  let service: TestService;
  let network: TcpProxy;
  beforeAll(async () => {
    service = await startService({
      async leadDatabase(url) {
        network = await startTcpProxy(url);
        return network.through(url);
      },
      leadChangeFeed: async (url) => url,
    });
  });
  afterEach(() => network.restore());
  afterAll(async () => {
    await service.stop();
    await network.close();
  });

  /** @returns how many of them were good */
  const validations = async (key: string, count: number) => {
    const answers = await Promise.all(Array.from({ length: count }, () => service.asHolder(key, '/validate')));
    return answers.filter(({ status }) => status === 200).length;
  };

  it.each<[what: string, take: () => void]>([
    ['takes the answer to a write that was made', () => network.stallAfter(WRITES_USAGE)],
    ['takes a write before it arrives', () => network.stallAt(WRITES_USAGE)],
    ['breaks', () => network.cut()],
  ])('%s: all uses are counted once', async (_what, take) => {
    const org = newOrganization();
    const { id, key } = await service.issueKey(org);
    let good = await validations(key, 3);
    await eventually(() => stored(service, id)).toEqual(bothAre(good));

    const failedBefore = failures(service);
    take();
    good += await validations(key, 20);
    await eventually(() => failures(service)).toBeGreaterThan(failedBefore);
    network.restore();
    await eventually(() => validations(key, 1)).toBe(1);
    good += 1;
    good += await validations(key, 5);
    await eventually(() => stored(service, id)).toEqual(bothAre(good));
    await sleep(300);
    expect(await stored(service, id)).toEqual(bothAre(good));
    expect(good).toBeGreaterThan(8);
  });

  it('is well, and a row is locked for longer than a write may wait: all uses are counted once', async () => {
    const { id, key } = await service.issueKey(newOrganization());
    let good = await validations(key, 2);
    await eventually(() => stored(service, id)).toEqual(bothAre(good));
    const holder = new pg.Client({ connectionString: service.databaseUrl });
    await holder.connect();
    await holder.query('begin');
    await holder.query('select 1 from key_service.usage_counts where subject_id = $1 for update', [id]);
    const failedBefore = failures(service);
    good += await validations(key, 10);
    await eventually(() => failures(service)).toBeGreaterThan(failedBefore);
    await holder.query('commit');
    await holder.end();
    good += await validations(key, 2);
    await eventually(() => stored(service, id)).toEqual(bothAre(good));
  });
});

describe('kill -9 of PostgreSQL, again and again while keys are used', () => {
  let postgres: OwnPostgres;
  let service: TestService;
  beforeAll(async () => {
    postgres = await startOwnPostgres();
    // Every flush is a commit that may be the last: nearly always there is one under way.
    service = await startService({
      beside: { databaseUrl: postgres.url, environment: {} },
      environment: { USAGE_FLUSH_MS: '2', CACHE_LEASE_MS: '500' },
    });
  });
  afterAll(async () => {
    await service.stop();
    await postgres.remove();
  });

  it('counts every use once', async () => {
    const org = newOrganization();
    const keys = await Promise.all(Array.from({ length: 5 }, () => service.issueKey(org)));
    const good = new Map(keys.map(({ id }) => [id, 0]));
    let over = false;
    const load = keys.map(async ({ id, key }) => {
      while (!over) {
        const { status } = await service.asHolder(key, '/validate');
        if (status === 200) good.set(id, (good.get(id) ?? 0) + 1);
        else await sleep(20);
      }
    });
    const total = () => [...good.values()].reduce((sum, count) => sum + count, 0);
    for (let kill = 0; kill < 4; kill += 1) {
      const before = total();
      await eventually(total).toBeGreaterThan(before + 200);
      await postgres.kill();
      await sleep(100);
      await postgres.start();
    }
    const before = total();
    await eventually(total).toBeGreaterThan(before + 200);
    over = true;
    await Promise.all(load);
    expect(failures(service)).toBeGreaterThan(0);
    for (const [id, count] of good) {
      await eventually(async () => (await stored(service, id)).key).toBe(count);
      expect((await stored(service, id)).organization).toBe(total());
    }
  }, 120_000);
});
