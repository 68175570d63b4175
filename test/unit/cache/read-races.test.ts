import { describe, expect, it } from 'vitest';
import { type ChangeOfKey, interleavings, Race, type Step } from '../../support/race.ts';

const KEY = 'key';
const ORGANIZATION = 'organization';
const found = (text: string) => ({ value: { text }, organizationId: ORGANIZATION });
const NOTHING = { value: null, organizationId: null };
const NOTHING_OF_ORGANIZATION = { value: null, organizationId: ORGANIZATION };
const ofKey = (kind: 'api-key-created' | 'api-key-changed' | 'api-key-revoked') => ({ kind, keyHash: KEY });
const ofOrganization = { kind: 'organization-changed', organizationId: ORGANIZATION } as const;
const ofEverything = { kind: 'everything-changed' } as const;

const CHANGES: Record<string, Omit<ChangeOfKey, 'key'>> = {
  'its key is revoked': { before: found('good'), after: found('revoked'), change: ofKey('api-key-revoked') },
  'its key is deleted': { before: found('good'), after: NOTHING, change: ofKey('api-key-changed') },
  'its key is created': { before: NOTHING, after: found('good'), change: ofKey('api-key-created') },
  'its organisation changes': { before: found('one'), after: found('two'), change: ofOrganization },
  'its organisation has what it had not': {
    before: NOTHING_OF_ORGANIZATION,
    after: found('one'),
    change: ofOrganization,
  },
  'everything changes': { before: found('good'), after: NOTHING, change: ofEverything },
};

const FIRST: Step[] = ['asks 1', 'snapshot 1', 'answer 1', 'fill 1'];
const SECOND: Step[] = ['asks 2', 'snapshot 2', 'answer 2'];

/** Runs every order; what went wrong in any, and how many there were. */
async function runAll(orders: Step[][], start: () => Promise<Race>) {
  const wrong: string[] = [];
  for (const order of orders) {
    const race = await start();
    await race.run(order);
    wrong.push(...race.violations.map((violation) => `${violation}: ${order.join(', ')}`));
  }
  // The first few say enough.
  return { wrong: wrong.slice(0, 3), ran: orders.length };
}

/** Which of these happens first. */
const isBefore = (order: readonly Step[], first: Step, second: Step) => order.indexOf(first) < order.indexOf(second);

describe.each(Object.entries(CHANGES))('A read in flight while %s', (_, what) => {
  const change = { key: KEY, ...what };
  const cold = async () => new Race(change);
  const withoutLease = async () => new Race(change, { lease: false });
  const warm = async () => {
    const race = new Race(change);
    await race.warm();
    return race;
  };

  it('by another replica leaves nothing stale and answers nobody who asks later, at every point', async () => {
    const orders = interleavings<Step>(FIRST, SECOND, ['commit', 'notification']);
    expect(await runAll(orders, cold)).toEqual({ wrong: [], ran: 1_260 });
    expect(await runAll(orders, warm)).toEqual({ wrong: [], ran: 1_260 });
  });

  it.each<[string, Step[]]>([
    ['before the feed tells of it', ['commit', 'announce', 'notification']],
    ['after the feed told of it', ['commit', 'notification', 'announce']],
  ])('by this replica, which says so %s, leaves nothing stale and answers nobody who asks later', async (_, own) => {
    const orders = interleavings<Step>(FIRST, SECOND, own);
    expect(await runAll(orders, cold)).toEqual({ wrong: [], ran: 4_200 });
  });

  it('answers nobody who asks without the lease after it, told of or not', async () => {
    const orders = interleavings<Step>(FIRST, SECOND, ['commit', 'notification']);
    expect(await runAll(orders, withoutLease)).toEqual({ wrong: [], ran: 1_260 });
  });

  it('while the lease lapses and comes back leaves nothing stale, and answers nobody who asks in between', async () => {
    const orders = interleavings<Step>(
      FIRST,
      ['asks 2'],
      ['commit', 'notification'],
      ['lease lapses', 'lease is back'],
    );
    expect(await runAll(orders, cold)).toEqual({ wrong: [], ran: 3_780 });
    expect(await runAll(orders, warm)).toEqual({ wrong: [], ran: 3_780 });
  });

  const CONNECTION: Step[] = ['feed is lost', 'feed listens', 'lease is back'];

  it('leaves nothing stale when the feed is lost and listens again before or after it tells of the change', async () => {
    const orders = interleavings<Step>(FIRST, ['asks 2'], ['commit', 'notification'], CONNECTION).filter(
      (order) => isBefore(order, 'notification', 'feed is lost') || isBefore(order, 'feed listens', 'commit'),
    );
    const { wrong, ran } = await runAll(orders, cold);
    expect(wrong).toEqual([]);
    expect(ran).toBeGreaterThan(1_000);
  });

  it('leaves nothing stale when the feed is lost and never tells of the change', async () => {
    const orders = interleavings<Step>(FIRST, ['asks 2'], ['commit'], CONNECTION).filter((order) =>
      isBefore(order, 'commit', 'feed listens'),
    );
    for (const start of [cold, warm]) {
      const { wrong, ran } = await runAll(orders, start);
      expect(wrong).toEqual([]);
      expect(ran).toBeGreaterThan(1_000);
    }
  });
});
