import { existsSync, watch } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the service reads at its start; editors leave other files beside these. */
const RELEVANT = /\.(ts|sql|json)$/;
/** One "save all" or one `git checkout` touches many files: they make one restart. */
const SETTLE_MS = 100;

export interface SourceChanges {
  /** The next changed file, including one that changed while nobody was asking. */
  next(): Promise<string>;
  close(): void;
}

/** Watches folders of a checkout for changed sources. */
export function watchSources(checkout: string, folders: string[]): SourceChanges {
  let changed: string | undefined;
  let wake = () => {};
  const watchers = folders
    .map((folder) => join(checkout, folder))
    .filter((path) => existsSync(path))
    .map((path) => {
      const watcher = watch(path, { recursive: true }, (_event, name) => {
        if (!name || !RELEVANT.test(name)) return;
        changed = relative(checkout, join(path, name));
        wake();
      });
      // A folder vanished under the watcher, as a change of branches makes them: nothing to restart for.
      return watcher.on('error', () => {});
    });
  return {
    async next() {
      while (changed === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      await sleep(SETTLE_MS);
      const file = changed;
      changed = undefined;
      return file;
    },
    close() {
      for (const watcher of watchers) watcher.close();
    },
  };
}
