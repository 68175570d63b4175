import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LastUsed, type WriteLastUsed } from '../../src/usage/last-used.ts';

const at = (second: number) => new Date(Date.UTC(2030, 0, 1, 0, 0, second));
const ids = (count: number) => Array.from({ length: count }, (_, index) => `key-${index}`);

describe('LastUsed', () => {
  const write = vi.fn<WriteLastUsed>();
  const onFailure = vi.fn();
  let uses: LastUsed;
  beforeEach(() => {
    vi.useFakeTimers();
    write.mockReset().mockResolvedValue();
    onFailure.mockReset();
    uses = new LastUsed(write, onFailure);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('writes nothing until it is flushed, then all keys in one statement', async () => {
    uses.record('a', at(1).getTime());
    uses.record('b', at(2).getTime());
    expect(write).not.toHaveBeenCalled();
    await uses.flush();
    expect(write.mock.calls).toEqual([
      [
        [
          { id: 'a', atMs: at(1).getTime() },
          { id: 'b', atMs: at(2).getTime() },
        ],
      ],
    ]);
  });

  it('writes each key once, with its latest instant', async () => {
    for (const second of [1, 2, 3]) uses.record('a', at(second).getTime());
    await uses.flush();
    expect(write.mock.calls).toEqual([[[{ id: 'a', atMs: at(3).getTime() }]]]);
  });

  it('keeps the later instant when an earlier one is recorded after it', async () => {
    uses.record('a', at(9).getTime());
    uses.record('a', at(1).getTime());
    await uses.flush();
    expect(write.mock.calls).toEqual([[[{ id: 'a', atMs: at(9).getTime() }]]]);
  });

  it('writes nothing when nothing was used', async () => {
    await uses.flush();
    uses.record('a', at(1).getTime());
    await uses.flush();
    await uses.flush();
    expect(write).toHaveBeenCalledTimes(1);
  });

  it('keeps what could not be written for the next flush, and tells of the failure', async () => {
    const failure = new Error('no database');
    write.mockRejectedValueOnce(failure);
    uses.record('a', at(1).getTime());
    await uses.flush();
    expect(onFailure.mock.calls).toEqual([[failure]]);
    await uses.flush();
    expect(write).toHaveBeenLastCalledWith([{ id: 'a', atMs: at(1).getTime() }]);
    expect(write).toHaveBeenCalledTimes(2);
  });

  it('prefers a later use over one that could not be written', async () => {
    write.mockImplementationOnce(async () => {
      uses.record('a', at(2).getTime());
      throw new Error('no database');
    });
    uses.record('a', at(1).getTime());
    uses.record('b', at(1).getTime());
    await uses.flush();
    await uses.flush();
    expect(write.mock.lastCall?.[0]).toHaveLength(2);
    expect(write.mock.lastCall?.[0]).toEqual(
      expect.arrayContaining([
        { id: 'a', atMs: at(2).getTime() },
        { id: 'b', atMs: at(1).getTime() },
      ]),
    );
  });

  it('writes in batches of at most 1,000, each key in one of them', async () => {
    for (const id of ids(2_400)) uses.record(id, at(1).getTime());
    await uses.flush();
    expect(write.mock.calls.map(([batch]) => batch.length)).toEqual([1_000, 1_000, 400]);
    expect(new Set(write.mock.calls.flatMap(([batch]) => batch.map(({ id }) => id))).size).toBe(2_400);
  });

  it('keeps the failed batch and those behind it, and does not repeat those before', async () => {
    for (const id of ids(2_400)) uses.record(id, at(1).getTime());
    write.mockResolvedValueOnce().mockRejectedValueOnce(new Error('no database'));
    await uses.flush();
    expect(write).toHaveBeenCalledTimes(2);
    expect(onFailure).toHaveBeenCalledTimes(1);
    write.mockClear();
    await uses.flush();
    expect(write.mock.calls.flatMap(([batch]) => batch.map(({ id }) => id)).sort()).toEqual(
      ids(2_400).slice(1_000).sort(),
    );
  });

  it('never runs two writes at once', async () => {
    let running = 0;
    let most = 0;
    write.mockImplementation(async () => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
    });
    for (const id of ids(3)) {
      uses.record(id, at(1).getTime());
      void uses.flush();
    }
    await uses.flush();
    expect(write.mock.calls.flatMap(([batch]) => batch.map(({ id }) => id)).sort()).toEqual(ids(3));
    expect(most).toBe(1);
  });

  it('flushes by itself at each interval once started', async () => {
    uses.start(1_000);
    uses.record('a', at(1).getTime());
    await vi.advanceTimersByTimeAsync(999);
    expect(write).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(write).toHaveBeenCalledTimes(1);
    await uses.stop(1_000);
  });

  it('writes what is left when it is stopped, and nothing by itself afterwards', async () => {
    uses.start(1_000);
    uses.record('a', at(1).getTime());
    await uses.stop(1_000);
    expect(write.mock.calls).toEqual([[[{ id: 'a', atMs: at(1).getTime() }]]]);
    uses.record('b', at(1).getTime());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(write).toHaveBeenCalledTimes(1);
  });

  it('can be stopped without having been started, and when the last write fails', async () => {
    write.mockRejectedValue(new Error('no database'));
    uses.record('a', at(1).getTime());
    await expect(uses.stop(1_000)).resolves.toBeUndefined();
    expect(onFailure).toHaveBeenCalledTimes(1);
  });
});
