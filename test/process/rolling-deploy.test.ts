import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization } from '../support/client.ts';
import { runCommand } from '../support/command-line.ts';
import { startService, type TestService } from '../support/service.ts';
import { newSecret } from '../support/vault.ts';

const [before, after] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
const ORGANIZATIONS = 6;

/** The replicas that run just now. Each step of the deploy replaces one after the other. */
let replicas: TestService[];
let first: TestService;
beforeAll(async () => {
  first = await startService({ environment: { ENCRYPTION_KEY: before } });
  replicas = [
    await startService({ beside: first, environment: { ENCRYPTION_KEY: before } }),
    await startService({ beside: first, environment: { ENCRYPTION_KEY: before } }),
  ];
});
afterAll(async () => {
  for (const replica of replicas) await replica.stop();
  await first.stop();
});

interface Holder {
  org: string;
  key: string;
  secrets: Map<string, string>;
}

async function newHolder(on: TestService): Promise<Holder> {
  const org = newOrganization();
  const secret = newSecret();
  expect((await on.saveProviderKey(org, 'openai', secret)).status).toBe(201);
  return { org, key: (await on.issueKey(org)).key, secrets: new Map([['openai', secret]]) };
}

/** Saves and reveals by turns on whatever replica there is, until it is told to stop. */
function traffic(holders: Holder[]) {
  let isOver = false;
  let rounds = 0;
  const run = async (holder: Holder, number: number) => {
    for (; !isOver; rounds += 1) {
      // For each request: one that was taken out meanwhile is asked no more.
      const replica = () => replicas[(rounds + number) % replicas.length] as TestService;
      const secret = newSecret();
      const saved = await replica().saveProviderKey(holder.org, 'anthropic', secret);
      expect([saved.status, saved.body.code]).toEqual([saved.body.version === 1 ? 201 : 200, undefined]);
      holder.secrets.set('anthropic', secret);
      for (const [provider, expected] of holder.secrets) {
        const answer = await replica().asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${holder.org}`);
        expect(answer.body).toMatchObject({ key: expected });
        expect((await replica().asHolder(holder.key, '/validate/keys/openai')).body.key).toBe(
          holder.secrets.get('openai'),
        );
      }
    }
  };
  const ended = Promise.all(holders.map(run));
  ended.catch(() => {}); // what went wrong is told where it is waited for
  return {
    async stop() {
      isOver = true;
      await ended;
      return rounds;
    },
  };
}

/** A replica that is taken out has nothing left to answer: those who use it have moved on by then. */
async function deploy(environment: NodeJS.ProcessEnv): Promise<void> {
  for (const index of replicas.keys()) {
    const successor = await startService({ beside: first, environment });
    const [old] = replicas.splice(index, 1, successor);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await old?.stop();
  }
}
const command = (args: string) =>
  runCommand(args.split(' '), {
    KEY_SERVICE_DATABASE_URL: first.databaseUrl,
    ENCRYPTION_KEY: after,
    ENCRYPTION_KEYS_ACCEPTED: before,
  });

describe('Rotating the master key in a rolling deploy', () => {
  it('fails no save and no reveal at any step, and leaves a database that the new master key opens alone', async () => {
    const holders: Holder[] = [];
    for (let n = 0; n < ORGANIZATIONS; n += 1) holders.push(await newHolder(first));
    const users = traffic(holders);
    await deploy({ ENCRYPTION_KEY: before, ENCRYPTION_KEYS_ACCEPTED: after });
    await deploy({ ENCRYPTION_KEY: after, ENCRYPTION_KEYS_ACCEPTED: before });
    // Organisations that come in the middle of it have data keys of either master key.
    holders.push(await newHolder(replicas[0] as TestService));
    expect(await command('encryption rotate --batch-size 2')).toMatchObject({ code: 0 });
    expect((await command('encryption status')).output).toMatch(
      /\(accepted\) wraps 0 data key\(s\): it can be removed/,
    );
    expect(await command('encryption roll-data-keys')).toMatchObject({ code: 0 });
    await deploy({ ENCRYPTION_KEY: after });
    expect(await users.stop()).toBeGreaterThan(ORGANIZATIONS);
    for (const { org, secrets } of holders) {
      for (const [provider, secret] of secrets) {
        const [replica] = replicas;
        const answer = await replica?.asService('GET', `/internal/keys/${provider}/decrypt?clerkOrgId=${org}`);
        expect(answer?.body.key).toBe(secret);
      }
    }
    // Who still has the old one alone does not start, and no longer harms.
    await expect(startService({ beside: first, environment: { ENCRYPTION_KEY: before } })).rejects.toMatchObject({
      name: 'MasterKeyMismatch',
    });
  }, 120_000);
});
