import { Failure } from '../failure.ts';
import { tell } from '../terminal.ts';
import type { ServiceProcess } from './service-process.ts';
import type { SourceChanges } from './source-changes.ts';

export interface WatchedService {
  url: string;
  start: () => ServiceProcess;
  changes: SourceChanges;
  /** Ends it all. */
  end: AbortSignal;
  /** Called once, when the service answers for the first time. */
  onReady: () => void;
}

/**
 * Runs the service until the end is requested, anew after every change of its sources. A service
 * that cannot start at all is a failure; one that a change has broken waits for the next change.
 */
export async function runWatchedService({ url, start, changes, end, onReady }: WatchedService): Promise<void> {
  const ending = new Promise<'end'>((resolve) => {
    end.addEventListener('abort', () => resolve('end'), { once: true });
    if (end.aborted) resolve('end');
  });

  let service = start();
  try {
    const healthy = await Promise.race([service.healthy(url), ending]);
    if (healthy === false) throw new Failure('The service did not start; its message is above.');
    if (healthy === true) onReady();

    let change = changes.next();
    while (!end.aborted) {
      const crash = await Promise.race([service.ended, change.then(() => undefined), ending]);
      if (crash !== undefined && !end.aborted) {
        tell(`The service ended with ${crash}. Waiting for a change of its sources.`);
      }
      const file = await Promise.race([change, ending]);
      if (end.aborted) break;

      tell(`${file} changed: restarting`);
      const began = Date.now();
      await service.stop();
      service = start();
      change = changes.next();
      const again = await Promise.race([service.healthy(url), ending]);
      if (again === true) tell(`Ready again after ${Date.now() - began} ms.`);
    }
  } finally {
    await service.stop();
  }
}
