import { describe, expect, it } from 'vitest';
import { Keyring } from '../../../src/encryption/keyring.ts';
import { type DataKeyIdentity, masterKeyFromBytes } from '../../../src/encryption/master-key.ts';
import { reasonOfLater } from './reason-of.ts';

const identity: DataKeyIdentity = {
  id: '01900000-0000-7000-8000-000000000001',
  purpose: 'organization',
  organizationId: '01900000-0000-7000-8000-000000000002',
};
const dataKey = Buffer.alloc(32, 0x5a);
const keyOf = (byte: number) => masterKeyFromBytes(Buffer.alloc(32, byte));
const ids = (keys: readonly { id: string }[]) => keys.map(({ id }) => id);

describe('a keyring', () => {
  it('opens what any of its keys wrapped, by the id that it was stored with', async () => {
    const keyring = new Keyring(keyOf(1), [keyOf(2), keyOf(3)]);
    for (const key of [keyOf(1), keyOf(2), keyOf(3)]) {
      expect(keyring.knows(key.id)).toBe(true);
      expect(await keyring.unwrap(key.id, identity, await key.wrap(identity, dataKey))).toEqual(dataKey);
    }
  });

  it('does not open what was stored with the id of no key of it, whoever wrapped it', async () => {
    const keyring = new Keyring(keyOf(1), [keyOf(2)]);
    const wrapped = await keyOf(1).wrap(identity, dataKey);
    expect(keyring.knows(keyOf(4).id)).toBe(false);
    expect(await reasonOfLater(() => keyring.unwrap(keyOf(4).id, identity, wrapped))).toBe('wrong_key');
  });

  it('does not try another key than the one that is named', async () => {
    const keyring = new Keyring(keyOf(1), [keyOf(2)]);
    const wrapped = await keyOf(1).wrap(identity, dataKey);
    expect(await reasonOfLater(() => keyring.unwrap(keyOf(2).id, identity, wrapped))).toBe('not_authentic');
  });

  it('wraps with the current one', () => {
    expect(new Keyring(keyOf(1), [keyOf(2)]).current.id).toBe(keyOf(1).id);
  });

  it('tolerates keys that are there twice, and the current one among the accepted', () => {
    const keyring = new Keyring(keyOf(1), [keyOf(2), keyOf(1), keyOf(2)]);
    expect(ids(keyring.accepted)).toEqual([keyOf(2).id]);
    expect(new Keyring(keyOf(1)).accepted).toEqual([]);
  });
});
