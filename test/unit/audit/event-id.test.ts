import { expect, it } from 'vitest';
import { newEventId } from '../../../src/audit/event-id.ts';

const MANY = 5_000;

it('Ids of events are UUIDs of version 7, in their order, and their random ends are not made twice', () => {
  const ids = Array.from({ length: MANY }, newEventId);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(MANY);
  // 32 random bits: of 5,000 some three in a thousand runs have two that are the same.
  expect(new Set(ids.map((id) => id.slice(-8))).size).toBeGreaterThan(MANY - 5);
});
