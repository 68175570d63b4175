import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './is-alive.ts';

/**
 * Directories under construction. What is built in one and renamed into place when complete never
 * needs a lock: of two processes one rename wins, and work that was killed half-way is not mistaken
 * for finished.
 */
const DRAFT = /^draft-(\d+)-/;

export async function newDraft(place: string): Promise<string> {
  const draft = join(place, `draft-${process.pid}-${randomUUID()}`);
  await mkdir(draft, { mode: 0o700 });
  return draft;
}

/** Removes what processes that are no more have left half built. */
export async function removeAbandonedDrafts(place: string): Promise<void> {
  for (const name of await readdir(place)) {
    const maker = DRAFT.exec(name)?.[1];
    if (maker === undefined || isAlive(Number(maker))) continue;
    // Its `initdb` may still be tidying up in there, and two processes may do this at once.
    await rm(join(place, name), { recursive: true, force: true, maxRetries: 5 });
  }
}
