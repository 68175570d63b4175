import { beforeEach, describe, expect, it } from 'vitest';
import { type Found, LeasedCache } from '../../../src/cache/leased-cache.ts';
import { ScriptedChanges } from '../../support/scripted-changes.ts';

interface Value {
  name: string;
  bytes: number;
}
const SMALLEST_BYTES = 512;
const MAX_BYTES = 10 * SMALLEST_BYTES;
const MAX_ABSENT = 5;
const ORGANIZATION = 'organization';

let changes: ScriptedChanges;
let cache: LeasedCache<Value>;
beforeEach(() => {
  changes = new ScriptedChanges();
  cache = new LeasedCache({
    changes,
    maxBytes: MAX_BYTES,
    sizeOf: ({ bytes }) => bytes,
    maxAbsent: MAX_ABSENT,
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
const names = Array.from({ length: 100 }, (_, n) => `key ${n}`);
const known = () => names.filter((name) => cache.get(name) !== undefined);
const revoked = (keyHash: string) => changes.announce({ kind: 'api-key-revoked', keyHash });
const organizationChanged = (organizationId: string) =>
  changes.announce({ kind: 'organization-changed', organizationId });

describe('the memory of a LeasedCache', () => {
  it('is bounded in bytes; what was asked for least lately goes first', async () => {
    for (const name of names.slice(0, 10)) await remember(name);
    cache.get('key 0');
    await remember('key 10', ORGANIZATION, 2 * SMALLEST_BYTES);
    expect(cache.statistics).toMatchObject({ bytes: MAX_BYTES, entries: 9, evictions: 2 });
    expect(known()).toEqual(names.slice(0, 11).filter((name) => name !== 'key 1' && name !== 'key 2'));
  });

  it('never grows past its bound, whatever is read', async () => {
    for (const [n, name] of names.entries()) {
      await remember(name, `organization ${n % 7}`, 1 + ((n * 397) % (3 * SMALLEST_BYTES)));
      expect(cache.statistics.bytes).toBeLessThanOrEqual(MAX_BYTES);
    }
    expect(known().length).toBeGreaterThan(0);
  });

  it('holds no more than so many that are absent, and never pushes out what was found for them', async () => {
    for (const name of names.slice(0, 10)) await remember(name);
    for (let n = 0; n < 1_000; n += 1) await cache.read(`nobody ${n}`, async () => absent());
    expect(cache.statistics).toMatchObject({ entries: 10 + MAX_ABSENT, bytes: MAX_BYTES, evictions: 0 });
    expect(known()).toEqual(names.slice(0, 10));
  });

  it('does not hold what is larger than all of it, and forgets what it held in its place', async () => {
    await remember('key');
    changes.holdsLease = false;
    expect(await remember('key', ORGANIZATION, MAX_BYTES + 1)).toEqual({ name: 'key', bytes: MAX_BYTES + 1 });
    changes.holdsLease = true;
    expect(cache.get('key')).toBeUndefined();
    expect(cache.statistics).toMatchObject({ entries: 0, bytes: 0, organizations: 0 });
  });

  it('knows organisations only for as long as it remembers something of them', async () => {
    await remember('a', 'one');
    await remember('b', 'two');
    await cache.read('c', async () => absent('three'));
    expect(cache.statistics.organizations).toBe(3);
    revoked('a');
    expect(cache.statistics.organizations).toBe(2);
    organizationChanged('two');
    organizationChanged('nobody knows');
    expect(cache.statistics.organizations).toBe(1);
    await remember('b', 'two');
    changes.holdsLease = false;
    for (let again = 0; again < 10; again += 1) await remember('b', 'two');
    expect(cache.statistics.organizations).toBe(2);
    revoked('b');
    revoked('c');
    expect(cache.statistics).toMatchObject({ organizations: 0, entries: 0 });
  });

  it('knows no organisation any more of which everything was pushed out', async () => {
    for (const [n, name] of names.entries()) await remember(name, `organization ${n}`);
    expect(cache.statistics.organizations).toBe(cache.statistics.entries);
    for (let n = 0; n < 100; n += 1) await cache.read(`nobody ${n}`, async () => absent(`another ${n}`));
    expect(cache.statistics.organizations).toBe(cache.statistics.entries);
  });

  it('counts what was answered from memory, what was not, and what was pushed out', async () => {
    await remember('key');
    await cache.read('nobody', async () => absent());
    cache.get('key');
    cache.get('nobody');
    cache.get('never read');
    changes.holdsLease = false;
    cache.get('key');
    expect(cache.statistics).toMatchObject({ hits: 2, misses: 2, evictions: 0 });
    revoked('key');
    changes.announce({ kind: 'everything-changed' });
    expect(cache.statistics.evictions).toBe(0);
  });
});
