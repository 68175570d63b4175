import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReplicaProcess, startReplicaProcess } from '../support/replica-process.ts';
import { at, Story, Undecided } from '../support/replica-story.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const LEASE_MS = 300;
/** Of the property; a failure names the seed that finds the same steps again. */
const RUNS = 12;

const replicas: ReplicaProcess[] = [];
const feeds: TcpProxy[] = [];
beforeAll(async () => {
  for (let n = 0; n < 2; n += 1) {
    const [beside] = replicas;
    const service = await startReplicaProcess({
      environment: { CACHE_LEASE_MS: String(LEASE_MS) },
      ...(beside === undefined ? {} : { beside }),
      async leadChangeFeed(url) {
        const proxy = await startTcpProxy(url);
        feeds.push(proxy);
        return proxy.through(url);
      },
    });
    replicas.push(service);
  }
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
  for (const feed of feeds) await feed.close();
});

const replica = fc.nat({ max: 1 });
const which = fc.nat({ max: 5 });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('issue' as const), replica }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('import' as const) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('revoke' as const), replica, which }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('switch' as const), which }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('provider' as const), replica, which }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('ask' as const) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.nat({ max: LEASE_MS * 1.5 }) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('stall' as const, 'cut' as const), replica }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('resume' as const), replica }) },
);

async function take(story: Story, doing: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<void> {
  switch (doing.does) {
    case 'issue':
      return story.issue(doing.replica);
    case 'import':
      return story.import();
    case 'revoke':
      return story.revoke(doing.replica, doing.which);
    case 'switch':
      return story.switch(doing.which);
    case 'provider':
      return story.provider(doing.replica, doing.which);
    case 'ask':
      return story.ask();
    case 'wait':
      await sleep(doing.ms);
      return story.ask();
    default:
      at(feeds, doing.replica)[doing.does]();
  }
}

describe('two replicas on one database, whatever becomes of their change feeds', () => {
  it('answer what is so, or was within the lease, and their own changes at once', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), async (steps) => {
      const story = new Story(replicas, LEASE_MS);
      try {
        await story.issue(0);
        for (const doing of steps) await take(story, doing);
      } catch (error) {
        if (!(error instanceof Undecided)) throw error;
      } finally {
        for (const feed of feeds) feed.resume();
      }
      story.ask();
      await sleep(LEASE_MS);
      story.ask();
      await story.answered();
      expect(story.wrong).toEqual([]);
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  }, 180_000);
});
