import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { systemResolver } from '../../../src/providers/resolve.ts';

const FOUND: LookupAddress[] = [{ address: '1.1.1.1', family: 4 }];

describe('the resolver', () => {
  it('answers for other names while the name servers of one are silent, however often that is asked for', async () => {
    const asked: string[] = [];
    const resolve = systemResolver((hostname) => {
      asked.push(hostname);
      return hostname === 'silent.example' ? new Promise(() => {}) : Promise.resolve(FOUND);
    });
    for (let times = 0; times < 100; times += 1) void resolve('silent.example');
    expect(await resolve('other.example')).toEqual(FOUND);
    expect(asked).toEqual(['silent.example', 'other.example']);
  });

  it('looks a name up anew once the last look-up is answered', async () => {
    const answers = [Promise.reject(new Error('no such name')), Promise.resolve(FOUND)];
    const resolve = systemResolver(() => answers.shift() ?? Promise.resolve([]));
    await expect(resolve('a.example')).rejects.toThrow('no such name');
    expect(await resolve('a.example')).toEqual(FOUND);
    expect(await resolve('a.example')).toEqual([]);
  });
});
