import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
let directory: string;
const [org, other] = [newOrganization(), newOrganization()];
beforeAll(async () => {
  service = await startService({ environment: { AUDIT_HEADS_LOG_MS: '1000' } });
  directory = await mkdtemp(join(tmpdir(), 'key-service-audit-'));
  for (const name of [org, other]) {
    await service.saveProviderKey(name, 'openai', 'sk-not-a-real-key-1');
    for (let n = 0; n < 250; n += 1) await service.asService('GET', `/internal/keys/openai/decrypt?clerkOrgId=${name}`);
  }
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true });
});

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** The command as it was built. */
async function audit(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const run = promisify(execFile)(process.execPath, ['dist/cli/main.js', 'audit', ...args], {
    env: {
      PATH: process.env['PATH'],
      KEY_SERVICE_DATABASE_URL: service.databaseUrl,
      ENCRYPTION_KEY: service.environment['ENCRYPTION_KEY'],
      ...environment,
    },
  });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: Outcome) => ({ code, stdout, stderr }),
  );
}

const chainOf = async (name: string) =>
  (await service.sql<{ id: string }>('select id from key_service.organizations where clerk_org_id = $1', [name]))[0]
    ?.id ?? '';
const linesOf = ({ stdout }: Outcome) => stdout.split('\n').filter((line) => line !== '');

describe('key-service audit verify', () => {
  it('says so when every chain is as it was written, and ends with 0', async () => {
    const { code, stdout } = await audit(['verify']);
    expect(stdout).toBe('Verified 502 event(s) of 3 chain(s); 0 chain(s) were altered.\n');
    expect(code).toBe(0);
  });

  it('names the organisation and the first event that somebody has altered, and ends with 1', async () => {
    const which = `chain = $1 and sequence = 230`;
    const [row] = await service.sql<{ id: string; actor: string }>(
      `update key_service.audit_events e set actor = 'nobody' from key_service.audit_events before
       where e.chain = $1 and e.sequence = 230 and before.chain = e.chain and before.sequence = e.sequence
       returning e.id, before.actor`,
      [await chainOf(org)],
    );
    const all = await audit(['verify']);
    expect(linesOf(all)).toEqual([
      `${org}: event 230 (${row?.id}) was altered, moved or forged`,
      'Verified 480 event(s) of 3 chain(s); 1 chain(s) were altered.',
    ]);
    expect(all.code).toBe(1);
    expect((await audit(['verify', '--org', org])).code).toBe(1);
    expect(await audit(['verify', '--org', other])).toMatchObject({
      code: 0,
      stdout: 'Verified 251 event(s) of 1 chain(s); 0 chain(s) were altered.\n',
    });
    await service.sql(`update key_service.audit_events set actor = $2 where ${which}`, [
      await chainOf(org),
      row?.actor,
    ]);
    expect((await audit(['verify'])).code).toBe(0);
  });

  it('finds an end that was cut off with the log of the service, whatever else is in it', async () => {
    const chain = await chainOf(other);
    await expect.poll(() => JSON.stringify(service.logLines).includes(`${chain} 251 `), { timeout: 5_000 }).toBe(true);
    const log = join(directory, 'service.log');
    await writeFile(log, service.logLines.map((line) => `some-host ${JSON.stringify(line)}\n`).join(''));
    const good = await audit(['verify', '--heads', log]);
    expect(good.stdout).toMatch(/^Compared with \d+ logged head\(s\) of 2 chain\(s\)\.\n/);
    expect(good.code).toBe(0);
    const removed = await service.sql<Record<string, unknown>>(
      'delete from key_service.audit_events where chain = $1 and sequence = 251 returning *',
      [chain],
    );
    await service.sql(
      `update key_service.audit_chains c set (sequence, mac) = (select sequence, mac from key_service.audit_events e
       where e.chain = c.chain and e.sequence = 250) where chain = $1`,
      [chain],
    );
    expect((await audit(['verify'])).code).toBe(0);
    const cut = await audit(['verify', '--heads', log]);
    expect(linesOf(cut)).toContain(
      `${other}: its end was cut off: event 251 is missing, and the log has one as late or later`,
    );
    expect(cut.code).toBe(1);
    const [event] = removed;
    const columns = Object.keys(event ?? {});
    await service.sql(
      `insert into key_service.audit_events (${columns.join(', ')}) values (${columns.map((_, n) => `$${n + 1}`).join(', ')})`,
      Object.values(event ?? {}),
    );
    await service.sql('update key_service.audit_chains set sequence = 251, mac = $2 where chain = $1', [
      chain,
      event?.['mac'],
    ]);
    expect((await audit(['verify', '--heads', log])).code).toBe(0);
  });

  it.each<[what: string, args: string[], environment: NodeJS.ProcessEnv, message: RegExp]>([
    ['without a key', ['verify'], { ENCRYPTION_KEY: '' }, /ENCRYPTION_KEY is missing/],
    [
      'with another master key',
      ['verify'],
      { ENCRYPTION_KEY: randomBytes(32).toString('hex') },
      /does not open the system data key/,
    ],
    ['of an organisation that is not known', ['verify', '--org', 'org_nobody'], {}, /No such organisation/],
    ['with a log without heads', ['verify', '--heads', 'package.json'], {}, /no logged heads/],
  ])('ends with 1 and a sentence %s', async (_, args, environment, message) => {
    const { code, stderr } = await audit(args, environment);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(1);
  });
});

describe('key-service audit export', () => {
  const exported = async (args: string[]) => linesOf(await audit(['export', ...args])).map((line) => JSON.parse(line));

  it('writes every event as a line of JSON, chain by chain and in their order', async () => {
    const events = await exported([]);
    expect(events).toHaveLength(502);
    const chains = [org, other].map((name) => events.filter(({ clerkOrgId }) => clerkOrgId === name));
    for (const chain of chains) {
      expect(chain.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 251 }, (_, n) => n + 1));
    }
    const { events: listed } = await listEvents(service, { clerkOrgId: org, limit: '1' });
    const { mac, dataKeyId, ...event } = chains[0]?.at(-1) ?? {};
    expect(event).toEqual(listed[0]);
    expect(mac).toMatch(/^[0-9a-f]{64}$/);
    expect(dataKeyId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is of one organisation, and of a time', async () => {
    const all = await exported(['--org', org]);
    const at = all[100].occurredAt;
    const since = await exported(['--org', org, '--since', at]);
    const until = await exported(['--org', org, '--until', at]);
    expect([...until, ...since]).toEqual(all);
    expect(since.length).toBeGreaterThanOrEqual(151);
    expect(await exported(['--org', 'org_nobody'])).toEqual([]);
    expect(await exported(['--since', '2000-01-01', '--until', '2000-01-02'])).toEqual([]);
  });

  it('refuses what is no instant', async () => {
    const { code, stderr } = await audit(['export', '--since', 'yesterday']);
    expect(stderr).toMatch(/must be a date or an instant/);
    expect(code).toBe(1);
  });
});

describe('key-service audit cut', () => {
  it('needs to be told how many days', async () => {
    expect(await audit(['cut'])).toMatchObject({ code: 1, stderr: expect.stringContaining('AUDIT_RETENTION_DAYS') });
    expect((await audit(['cut', '--days', 'x'])).code).toBe(1);
  });

  it('cuts nothing that is younger', async () => {
    expect(await audit(['cut', '--days', '1'])).toMatchObject({ code: 0, stdout: 'Cut 0 event(s) of 0 chain(s).\n' });
    expect(await audit(['cut'], { AUDIT_RETENTION_DAYS: '1' })).toMatchObject({ code: 0 });
    expect(await exportedCount()).toBe(502);
  });

  const exportedCount = async () => linesOf(await audit(['export'])).length;
});
