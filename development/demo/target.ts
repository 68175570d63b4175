import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';
import { freePort } from '../embedded-postgres/port.ts';
import { composeEnvironment, dataDirectory } from '../environment.ts';
import { Failure } from '../failure.ts';
import { developmentServiceKey } from '../secrets.ts';
import { serviceAddress } from '../service/address.ts';
import { BUILT, FROM_SOURCES, isKeyService, startService } from '../service/service-process.ts';
import { tell } from '../terminal.ts';
import { variable } from '../variable.ts';

export interface Target {
  url: string;
  serviceKey: string;
  stop(): Promise<void>;
}

/** What production requires, with nothing that could reach the internet: the Clerk here is a closed port. */
const STAND_INS = {
  NODE_ENV: 'production',
  CLERK_SECRET_KEY: 'sk_test_not-a-real-key',
  CLERK_API_URL: 'http://127.0.0.1:1',
  SENTRY_DSN: '',
};

/** The service that the variables name, else one that runs here, else one of our own. */
export async function findTarget(built: boolean): Promise<Target> {
  return (await namedService()) ?? (await runningService()) ?? (await ownService(built));
}

async function namedService(): Promise<Target | undefined> {
  const url = variable('KEY_SERVICE_URL')?.replace(/\/+$/, '');
  if (!url) return undefined;
  const serviceKey = variable('KEY_SERVICE_API_KEY');
  if (!serviceKey) throw new Failure('KEY_SERVICE_URL needs KEY_SERVICE_API_KEY beside it: a key of that service.');
  return { url, serviceKey, stop: async () => {} };
}

async function runningService(): Promise<Target | undefined> {
  const { url } = serviceAddress();
  if (!(await isKeyService(url))) return undefined;
  const serviceKey = variable('KEY_SERVICE_API_KEY') ?? (await developmentServiceKey(dataDirectory()));
  const { status } = await fetch(`${url}/internal/keys?clerkOrgId=org_demo`, {
    headers: { 'X-Service-Key': serviceKey },
  });
  if (status !== 401) return { url, serviceKey, stop: async () => {} };
  tell(`The service at ${url} has another service key: the demo starts a service of its own.`);
  return undefined;
}

async function ownService(built: boolean): Promise<Target> {
  if (built && !existsSync(join(CHECKOUT, 'dist', 'main.js'))) {
    throw new Failure('There is no built service yet: npm run build');
  }
  const environment = await composeEnvironment(tell);
  try {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    tell(`Service: starting ${built ? 'the built one' : 'from its sources'}`);
    const service = startService(built ? BUILT : FROM_SOURCES, {
      environment: {
        ...environment.variables,
        ...(built && STAND_INS),
        HOST: '127.0.0.1',
        PORT: String(port),
        // The port of the metrics, if there is one, may belong to a service that runs already.
        METRICS_PORT: '',
        LOG_LEVEL: 'error',
      },
    });
    if (!(await service.healthy(url))) {
      await service.stop();
      throw new Failure('The service did not start; its message is above.');
    }
    return {
      url,
      serviceKey: environment.serviceKey,
      async stop() {
        await service.stop();
        await environment.stop();
      },
    };
  } catch (error) {
    await environment.stop();
    throw error;
  }
}
