import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { OpenedDataKeys, type OpenedDataKeysOptions } from '../../src/data-keys/opened-data-keys.ts';
import type { WrappedDataKey } from '../../src/data-keys/wrapped-data-key.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import { MasterKeyUnavailable } from '../../src/encryption/master-key-unavailable.ts';
import { ScriptedMasterKey } from '../support/vault.ts';

const KEY = Buffer.alloc(32, 0x5a);

async function keeper(options: OpenedDataKeysOptions = {}) {
  const masterKey = new ScriptedMasterKey();
  const opened = new OpenedDataKeys(new Keyring(masterKey), options);
  const wrap = async (): Promise<WrappedDataKey> => {
    const identity = { id: randomUUID(), purpose: 'organization' as const, organizationId: randomUUID() };
    return { ...identity, masterKeyId: masterKey.id, wrapped: await masterKey.wrap(identity, KEY) };
  };
  return { masterKey, opened, wrap, wrapped: await wrap() };
}

const away = () => Promise.reject(new MasterKeyUnavailable('ECONNREFUSED'));

describe('An opened data key', () => {
  it('is a promise the first time, and a value from then on', async () => {
    const { masterKey, opened, wrapped } = await keeper();
    const first = opened.open(wrapped);
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toEqual({ id: wrapped.id, key: KEY });
    expect(opened.open({ ...wrapped, wrapped: Buffer.from(wrapped.wrapped) })).toBe(await first);
    expect(masterKey.asked).toEqual([wrapped.id]);
  });

  it('is asked for once, however many want it at the same time', async () => {
    const { masterKey, opened, wrapped } = await keeper();
    const all = await Promise.all(Array.from({ length: 50 }, () => opened.open({ ...wrapped })));
    expect(new Set(all).size).toBe(1);
    expect(masterKey.asked).toHaveLength(1);
  });

  it.each<[string, (row: WrappedDataKey) => Partial<WrappedDataKey>]>([
    [
      'its bytes',
      ({ wrapped }) => ({ wrapped: Buffer.from(wrapped.map((byte, at) => (at === 40 ? byte ^ 1 : byte))) }),
    ],
    ['its length', () => ({ wrapped: Buffer.alloc(0) })],
    ['whose it is', () => ({ organizationId: randomUUID() })],
    ['what it is for', () => ({ purpose: 'system' as const })],
    ['its master key', () => ({ masterKeyId: 'nobodys' })],
  ])('does not stand in for a row that differs in %s', async (_what, change) => {
    const { opened, wrapped } = await keeper();
    await opened.open(wrapped);
    await expect(opened.open({ ...wrapped, ...change(wrapped) })).rejects.toThrow(/did not open/);
    expect(opened.open(wrapped)).not.toBeInstanceOf(Promise);
  });

  it('is not remembered when it did not open', async () => {
    const { masterKey, opened, wrapped } = await keeper();
    masterKey.before = away;
    await expect(opened.open(wrapped)).rejects.toMatchObject({ code: 'encryption_unavailable' });
    masterKey.before = async () => {};
    expect(await opened.open(wrapped)).toMatchObject({ id: wrapped.id });
  });

  it('is let go of when its time is up, also if nobody asks for it', async () => {
    const { opened, wrapped } = await keeper({ openedForMs: 50 });
    const key = new WeakRef(await opened.open(wrapped));
    expect(key.deref()).toBeDefined();
    await sleep(120);
    expect(opened.open(wrapped)).toBeInstanceOf(Promise);
  });

  it('is let go of when it is no more, and not kept again by an opening that was under way', async () => {
    const { masterKey, opened, wrapped, wrap } = await keeper();
    const other = await wrap();
    await Promise.all([opened.open(wrapped), opened.open(other)]);
    opened.forget(wrapped.id);
    expect(opened.ids).toEqual([other.id]);
    let answer = (): void => {};
    const third = await wrap();
    masterKey.before = () => new Promise<void>((resolve) => (answer = resolve));
    const underWay = opened.open(third);
    await expect.poll(() => masterKey.asked).toContain(third.id);
    opened.forget(third.id);
    answer();
    await underWay;
    expect(opened.ids).toEqual([other.id]);
  });

  it('gives way to others where there are more than there is room for', async () => {
    const { opened, wrap, wrapped } = await keeper({ most: 2 });
    for (const row of [wrapped, await wrap(), await wrap()]) await opened.open(row);
    expect(opened.open(wrapped)).toBeInstanceOf(Promise);
  });

  it('in use is opened again before its time is up, so that an outage shorter than half of it is not noticed', async () => {
    const { masterKey, opened, wrapped } = await keeper({ openedForMs: 400 });
    await opened.open(wrapped);
    await sleep(250);
    expect(opened.open(wrapped)).not.toBeInstanceOf(Promise);
    await expect.poll(() => masterKey.asked).toHaveLength(2);
    masterKey.before = away;
    await sleep(250);
    expect(opened.open(wrapped)).not.toBeInstanceOf(Promise);
  });

  it('serves until its time is up while the master key is away', async () => {
    const { masterKey, opened, wrapped } = await keeper({ openedForMs: 300 });
    await opened.open(wrapped);
    masterKey.before = away;
    await sleep(200);
    for (let n = 0; n < 5; n += 1) expect(opened.open(wrapped)).not.toBeInstanceOf(Promise);
    expect(masterKey.asked.length).toBeLessThanOrEqual(2);
    await sleep(150);
    await expect(opened.open(wrapped)).rejects.toMatchObject({ code: 'encryption_unavailable' });
  });
});

describe('A master key that is slow', () => {
  it('is waited for no longer than a request can, and its answer is there for the next one', async () => {
    const { masterKey, opened, wrapped } = await keeper({ waitingLimitMs: 50 });
    masterKey.before = () => sleep(150);
    await expect(opened.open(wrapped)).rejects.toMatchObject({
      code: 'encryption_unavailable',
      context: { reason: 'no answer in time' },
    });
    await sleep(150);
    expect(opened.open(wrapped)).toMatchObject({ id: wrapped.id });
    expect(masterKey.asked).toHaveLength(1);
  });
});
