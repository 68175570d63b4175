import { CHECKOUT } from './checkout.ts';
import { composeEnvironment, loadEnvironmentFile } from './environment.ts';
import { requireFree, serviceAddress } from './service/address.ts';
import { firstSteps } from './service/first-steps.ts';
import { FROM_SOURCES, startService } from './service/service-process.ts';
import { watchSources } from './service/source-changes.ts';
import { runWatchedService } from './service/watched-service.ts';
import { endRequested, runMain, say, tell } from './terminal.ts';

/** `npm run dev`: the service from its sources, on a database of its own, with no configuration. */
async function dev(): Promise<number> {
  const end = endRequested();
  loadEnvironmentFile();
  const address = serviceAddress();
  await requireFree(address);

  tell('Starting Key Service for development');
  const environment = await composeEnvironment(tell);
  const changes = watchSources(CHECKOUT, ['src', 'migrations']);
  try {
    if (end.aborted) return 0;
    tell('Service: starting');
    await runWatchedService({
      url: address.url,
      start: () => startService(FROM_SOURCES, { environment: environment.variables }),
      changes,
      end,
      onReady: () => say(firstSteps({ url: address.url, ...environment })),
    });
    return 0;
  } finally {
    changes.close();
    await environment.stop();
    if (end.aborted) tell('Stopped.');
  }
}

await runMain(dev);
