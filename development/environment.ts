import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { CHECKOUT } from './checkout.ts';
import { openToServer, startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.ts';
import { developmentEncryptionKey, developmentServiceKey } from './secrets.ts';
import { variable } from './variable.ts';

export interface DevelopmentEnvironment {
  /** What the service needs, complete but for CLERK_SECRET_KEY: without one, membership is disabled. */
  readonly variables: NodeJS.ProcessEnv;
  readonly serviceKey: string;
  /** Where the data is, for a person to read. */
  readonly database: string;
  /** Ends the embedded server if this process started it. */
  stop(): Promise<void>;
}

/** Reads `.env` of the checkout, if there is one. What is set already wins. */
export function loadEnvironmentFile(): void {
  const file = join(CHECKOUT, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
}

export function dataDirectory(): string {
  return resolve(CHECKOUT, variable('KEY_SERVICE_DATA_DIR') ?? '.key-service');
}

/** Takes what the caller has set and makes what is missing (an empty value counts as missing). */
export async function composeEnvironment(onProgress: (message: string) => void): Promise<DevelopmentEnvironment> {
  loadEnvironmentFile();
  const directory = dataDirectory();
  const givenUrl = variable('KEY_SERVICE_DATABASE_URL');
  const database = givenUrl
    ? { url: givenUrl, place: 'KEY_SERVICE_DATABASE_URL', stop: async () => {} }
    : await embeddedDatabase(directory, onProgress);
  try {
    const serviceKey = variable('KEY_SERVICE_API_KEY') ?? (await developmentServiceKey(directory));
    const encryptionKey = variable('ENCRYPTION_KEY') ?? (await developmentEncryptionKey(directory));
    return {
      variables: {
        ...process.env,
        NODE_ENV: 'development',
        HOST: variable('HOST') ?? '127.0.0.1',
        KEY_SERVICE_DATABASE_URL: database.url,
        ENCRYPTION_KEY: encryptionKey,
        KEY_SERVICE_API_KEY: serviceKey,
      },
      serviceKey,
      database: database.place,
      stop: database.stop,
    };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

async function embeddedDatabase(directory: string, onProgress: (message: string) => void) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await openToServer(directory);
  const started = Date.now();
  const server = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    database: 'key_service',
    onProgress: (message) => onProgress(`PostgreSQL: ${message}`),
  });
  onProgress(
    server.attached
      ? 'PostgreSQL: joined the server that is running already'
      : `PostgreSQL: ready after ${Date.now() - started} ms`,
  );
  const place = relative(process.cwd(), directory);
  return {
    url: server.url,
    place: place.startsWith('..') ? directory : place,
    stop: () => server.stop(),
  };
}
