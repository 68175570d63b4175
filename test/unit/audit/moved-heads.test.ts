import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Head } from '../../../src/audit/event.ts';
import { headsIn, MovedHeads } from '../../../src/audit/moved-heads.ts';

const head = (sequence: number, chain: string = randomUUID()): Head => ({ chain, sequence, mac: randomBytes(32) });
/** What the log has of a head. */
const logged = ({ chain, sequence, mac }: Head) => ({ chain, sequence, mac: mac.toString('hex').slice(0, 32) });

let lines: string[][];
let heads: MovedHeads;
beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  heads = new MovedHeads((line) => lines.push(line));
});
afterEach(() => {
  heads.stop();
  vi.useRealTimers();
});
const told = () => lines.flat().flatMap(headsIn);

describe('The heads of chains that moved', () => {
  it('are told of once each time, the newest of each chain, and not again', () => {
    const [first, second, other] = [head(1), head(9), head(4)];
    heads.start(1_000);
    heads.note([first, second]);
    const newer = head(3, first.chain);
    heads.note([newer]);
    heads.note([head(2, first.chain)]); // of a transaction that was noted late
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(told()).toEqual([logged(newer), logged(second)]);
    lines = [];
    vi.advanceTimersByTime(5_000);
    expect(lines).toEqual([]);
    heads.note([other]);
    vi.advanceTimersByTime(1_000);
    expect(told()).toEqual([logged(other)]);
  });

  it('are told of at a stop', () => {
    heads.start(1_000);
    heads.note([head(1)]);
    heads.stop();
    expect(told()).toHaveLength(1);
    vi.advanceTimersByTime(5_000);
    expect(told()).toHaveLength(1);
  });

  it('are at most forty in a line, which a pipe takes in one piece', () => {
    heads.note(Array.from({ length: 100 }, () => head(999_999_999_999)));
    heads.tellAll();
    expect(lines.map((line) => line.length)).toEqual([40, 40, 20]);
    for (const line of lines) expect(JSON.stringify({ heads: line }).length).toBeLessThan(3_900);
  });

  it('do not wait for their time when they are many', () => {
    heads.note(Array.from({ length: 9_999 }, () => head(1)));
    expect(lines).toEqual([]);
    heads.note([head(1)]);
    expect(told()).toHaveLength(10_000);
  });
});

describe('A line of a log', () => {
  it('has its heads, whatever stands around them', () => {
    const [one, two] = [logged(head(1)), logged(head(123_456))];
    const text = ({ chain, sequence, mac }: typeof one) => `${chain} ${sequence} ${mac}`;
    expect(headsIn(`2030 host {"heads":["${text(one)}","${text(two)}"],"msg":"audit heads"}`)).toEqual([one, two]);
    expect(headsIn(text(one))).toEqual([one]);
    expect(headsIn(`{"requestId":"${randomUUID()}","durationMs":1}`)).toEqual([]);
  });
});
