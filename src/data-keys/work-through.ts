import { setTimeout as sleep } from 'node:timers/promises';
import { DecryptionError, type DecryptionFailure } from '../encryption/decryption-error.ts';

/** What was met and could not be opened. Safe to print. */
export interface Unreadable {
  /** What it is, and its id. */
  name: string;
  reason: DecryptionFailure;
}

export interface Work<Item extends { key: string }> {
  /** The next ones, in the order of their keys, from behind `after`. What is done is not among them any more. */
  list: (after: string | null) => Promise<Item[]>;
  /** @returns how many are done, and why others cannot be; the rest was busy, and is tried again */
  work: (items: Item[]) => Promise<{ done: number; failed: ReadonlyMap<string, DecryptionFailure> }>;
  onDone: (count: number) => void;
}

/** Someone who keeps a row busy for longer than this many passes is not going to let go of it. */
const MOST_PASSES = 50;
const PAUSE_MS = 100;

/** What others kept busy, or changed, each time it was come by. Safe to print. */
export class StillBusy extends Error {
  override readonly name = 'StillBusy';
}

/**
 * Works through all there is in batches, and again for what was busy, until only that is left which cannot be done.
 *
 * @returns what cannot be done, by key
 * @throws StillBusy
 */
export async function workThrough<Item extends { key: string }>({
  list,
  work,
  onDone,
}: Work<Item>): Promise<Map<string, DecryptionFailure>> {
  const failed = new Map<string, DecryptionFailure>();
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    if (pass > 0) await sleep(PAUSE_MS);
    let busy = 0;
    let after: string | null = null;
    for (;;) {
      const found: Item[] = await list(after);
      after = found.at(-1)?.key ?? null;
      if (after === null) break;
      const items = found.filter(({ key }) => !failed.has(key));
      const outcome = await work(items);
      for (const [key, reason] of outcome.failed) failed.set(key, reason);
      busy += items.length - outcome.done - outcome.failed.size;
      if (outcome.done > 0) onDone(outcome.done);
    }
    if (busy === 0) return failed;
  }
  throw new StillBusy('Some rows were in use each time they were come by. Run it again: what is done stays done.');
}

/** What it comes to, or why it does not open. Any other error is thrown. */
export type Opening<T> = { value: T } | { reason: DecryptionFailure };

export function opening<T>(work: () => T): Opening<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

/** The same of what takes its time. */
export async function openedLater<T>(work: T | Promise<T>): Promise<Opening<T>> {
  try {
    return { value: await work };
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): DecryptionFailure {
  if (error instanceof DecryptionError) return error.reason;
  throw error;
}
