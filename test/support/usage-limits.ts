import { expect } from 'vitest';
import type { Answer, Client } from './client.ts';

/** What a flood of validations of one key was answered, by all whom it went to. */
export interface Hammered {
  /** `remainingUses` of every good answer, in no order. */
  remaining: number[];
  /** The codes of all others, each once. */
  refusals: Set<string>;
}

interface Blow {
  targets: readonly Pick<Client, 'asHolder'>[];
  key: string;
  /** That ask at each target at the same time, each again and again. */
  clients: number;
  /** Asked by each client after each answer; it stops when this is so. */
  until: (answer: Answer) => boolean;
}

/** Validates one key at all targets at once, as fast as they answer. */
export async function hammer({ targets, key, clients, until }: Blow): Promise<Hammered> {
  const hammered: Hammered = { remaining: [], refusals: new Set() };
  const ask = async (target: Pick<Client, 'asHolder'>) => {
    for (let over = false; !over; ) {
      const answer = await target.asHolder(key, '/validate').catch(() => null);
      if (answer === null) continue;
      if (answer.status === 200) hammered.remaining.push(answer.body.apiKey.remainingUses);
      else hammered.refusals.add(answer.body.code);
      over = until(answer);
    }
  };
  await Promise.all(targets.flatMap((target) => Array.from({ length: clients }, () => ask(target))));
  return hammered;
}

/**
 * Expects so many uses, each with another number left. Where the machine was too busy for some requests, those were granted
 * nothing, and only where their statement may have run is a use missing.
 */
export function expectExactly({ remaining, refusals }: Hammered, expected: readonly number[]): void {
  const others = [...refusals].filter(
    (code) => !['usage_exceeded', 'overloaded', 'database_unavailable'].includes(code),
  );
  expect(others).toEqual([]);
  if (refusals.has('database_unavailable')) {
    const spare = [...expected];
    for (const left of remaining) expect(spare.splice(spare.indexOf(left), 1)).toEqual([left]);
  } else {
    expect(descending(remaining)).toEqual(descending(expected));
  }
}

export const isUsedUp = ({ body }: Answer) => body?.code === 'usage_exceeded';

/** 0, 1, 2 … and the number before this one, backwards: what is left after each of so many uses. */
export const countdownFrom = (uses: number) => Array.from({ length: uses }, (_, index) => uses - 1 - index);

export const descending = (numbers: readonly number[]) => numbers.toSorted((a, b) => b - a);
