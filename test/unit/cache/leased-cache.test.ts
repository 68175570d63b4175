import { beforeEach, describe, expect, it } from 'vitest';
import { type Found, LeasedCache } from '../../../src/cache/leased-cache.ts';
import { ScriptedChanges } from '../../support/scripted-changes.ts';

interface Value {
  name: string;
  bytes: number;
}
const ORGANIZATION = 'organization';

let changes: ScriptedChanges;
let cache: LeasedCache<Value>;
beforeEach(() => {
  changes = new ScriptedChanges();
  cache = new LeasedCache({
    changes,
    maxBytes: 1_000_000,
    sizeOf: ({ bytes }) => bytes,
    maxAbsent: 100,
    readLimitMs: 10_000,
  });
});

const found = (name: string, organizationId: string | null = ORGANIZATION, bytes = 1): Found<Value> => ({
  value: { name, bytes },
  organizationId,
});
const absent = (organizationId: string | null = null): Found<Value> => ({ value: null, organizationId });
/** Reads a key of that name, and remembers it. */
const remember = (name: string, organizationId?: string | null, bytes?: number) =>
  cache.read(name, async () => found(name, organizationId, bytes));
const revoked = (keyHash: string) => changes.announce({ kind: 'api-key-revoked', keyHash });
const organizationChanged = (organizationId: string) =>
  changes.announce({ kind: 'organization-changed', organizationId });

describe('LeasedCache', () => {
  it('knows nothing of what was never read', () => {
    expect(cache.get('key')).toBeUndefined();
    expect(cache.has('key')).toBe(false);
  });

  it('remembers what was found, and that nothing was', async () => {
    const value = await remember('key');
    expect(cache.get('key')).toBe(value);
    expect(await cache.read('nobody', async () => absent())).toBeNull();
    expect(cache.get('nobody')).toBeNull();
    expect([cache.has('key'), cache.has('nobody')]).toEqual([true, false]);
  });

  it('answers only while the lease is held, and has forgotten nothing when it is held again', async () => {
    await remember('key');
    await cache.read('nobody', async () => absent());
    changes.holdsLease = false;
    expect([cache.get('key'), cache.get('nobody')]).toEqual([undefined, undefined]);
    expect(cache.has('key')).toBe(true);
    changes.holdsLease = true;
    expect([cache.get('key'), cache.get('nobody')]).toEqual([{ name: 'key', bytes: 1 }, null]);
  });

  it('remembers what was read without the lease, for when it is held', async () => {
    changes.holdsLease = false;
    const value = await remember('key');
    changes.holdsLease = true;
    expect(cache.get('key')).toBe(value);
  });

  it('remembers nothing that was read while the feed was lost', async () => {
    changes.lose();
    await remember('key');
    changes.listen();
    changes.holdsLease = true;
    expect(cache.get('key')).toBeUndefined();
  });

  it('never remembers a failure, nor forgets what it knew for one', async () => {
    const value = await remember('key');
    changes.holdsLease = false;
    for (const name of ['key', 'another']) {
      await expect(cache.read(name, () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
      await expect(
        cache.read(name, () => {
          throw new Error('at once');
        }),
      ).rejects.toThrow('at once');
    }
    changes.holdsLease = true;
    expect([cache.get('key'), cache.get('another')]).toEqual([value, undefined]);
    expect(await remember('another')).toEqual({ name: 'another', bytes: 1 });
  });

  it('reads once for all who ask at the same moment while the lease is held, and anew for who asks without it', async () => {
    let began = 0;
    const read = () =>
      cache.read('key', async () => {
        began += 1;
        await new Promise(setImmediate);
        return found('key');
      });
    await Promise.all([read(), read(), read()]);
    expect(began).toBe(1);
    changes.holdsLease = false;
    await Promise.all([read(), read(), read()]);
    expect(began).toBe(3);
  });

  describe('a change of one key', () => {
    it('lets that one be forgotten, found or absent, and no other', async () => {
      for (const name of ['a', 'b']) await remember(name);
      for (const name of ['c', 'd']) await cache.read(name, async () => absent());
      revoked('a');
      changes.announce({ kind: 'api-key-created', keyHash: 'c' });
      expect(['a', 'b', 'c', 'd'].map((name) => cache.get(name)?.name)).toEqual([undefined, 'b', undefined, undefined]);
      expect(cache.get('d')).toBeNull();
    });

    it('does not keep another one that is being read from being remembered', async () => {
      await cache.read('key', async () => {
        revoked('another');
        organizationChanged('another organization');
        return found('key');
      });
      expect(cache.get('key')).toEqual({ name: 'key', bytes: 1 });
    });
  });

  describe('a change of an organisation', () => {
    it('lets all that depends on it be read anew, found or absent, and nothing of another', async () => {
      await remember('a', ORGANIZATION);
      await remember('b', 'another');
      await cache.read('c', async () => absent(ORGANIZATION));
      await cache.read('d', async () => absent('another'));
      await cache.read('e', async () => absent());
      organizationChanged(ORGANIZATION);
      const answers = ['a', 'b', 'c', 'd', 'e'].map((name) => cache.get(name));
      expect(answers).toEqual([undefined, { name: 'b', bytes: 1 }, undefined, null, null]);
    });

    it('counts again for what was read after it', async () => {
      for (let round = 0; round < 3; round += 1) {
        await remember('key');
        await cache.read('nobody', async () => absent(ORGANIZATION));
        expect([cache.get('key')?.name, cache.get('nobody')]).toEqual(['key', null]);
        organizationChanged(ORGANIZATION);
        expect([cache.get('key'), cache.get('nobody')]).toEqual([undefined, undefined]);
      }
    });

    it('is not lost on what was read after it by forgetting what was read before it', async () => {
      await remember('old');
      organizationChanged(ORGANIZATION);
      await remember('new');
      revoked('old');
      expect(cache.get('new')?.name).toBe('new');
      organizationChanged(ORGANIZATION);
      expect(cache.get('new')).toBeUndefined();
    });

    it('reaches what moved to it from another organisation', async () => {
      await remember('key', 'another');
      changes.holdsLease = false;
      await remember('key', ORGANIZATION);
      changes.holdsLease = true;
      organizationChanged('another');
      expect(cache.get('key')?.name).toBe('key');
      organizationChanged(ORGANIZATION);
      expect(cache.get('key')).toBeUndefined();
    });
  });

  it('answers with nothing from before everything changed or the feed was lost, and knows which keys it had', async () => {
    for (const happen of [() => changes.announce({ kind: 'everything-changed' }), () => changes.lose()]) {
      await remember('key');
      await cache.read('nobody', async () => absent(ORGANIZATION));
      happen();
      changes.listen();
      changes.holdsLease = true;
      expect([cache.get('key'), cache.get('nobody')]).toEqual([undefined, undefined]);
      expect(cache.statistics).toMatchObject({ entries: 0, organizations: 0 });
      expect([cache.has('key'), cache.has('nobody')]).toEqual([true, false]);
    }
  });

  it('has what was absent as found once it is found, and the other way round', async () => {
    await cache.read('key', async () => absent());
    changes.holdsLease = false;
    await remember('key');
    changes.holdsLease = true;
    expect(cache.get('key')?.name).toBe('key');
    expect(cache.statistics.entries).toBe(1);
    changes.holdsLease = false;
    await cache.read('key', async () => absent());
    changes.holdsLease = true;
    expect(cache.get('key')).toBeNull();
    expect(cache.statistics).toMatchObject({ entries: 1, bytes: 0 });
  });
});
