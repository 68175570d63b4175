import { type BuiltService, productionEnvironment, startBuiltReplica } from './built-service.ts';
import { execute } from './database-server.ts';
import { createTestDatabase } from './test-database.ts';

/** A replica as `npm run build` made it, in a process of its own: whatever keeps the test busy does not keep it busy. */
export interface ReplicaProcess extends BuiltService {
  metricsPort: number;
  databaseUrl: string;
  environment: NodeJS.ProcessEnv;
  /** Runs a statement on its database, past it. */
  sql<Row extends Record<string, unknown>>(statement: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

interface Options {
  environment?: NodeJS.ProcessEnv;
  /** Leads it to its database another way, through a proxy say. */
  leadDatabase?: (url: string) => Promise<string>;
  /** Leads its change feed there another way. */
  leadChangeFeed?: (url: string) => Promise<string>;
  /** Another replica of this one: on the same database, with the same keys. Stopped before it. */
  beside?: Pick<ReplicaProcess, 'databaseUrl' | 'environment'>;
}

/** Starts one on a database of its own, or beside another. */
export async function startReplicaProcess({
  environment = {},
  leadDatabase = async (url) => url,
  leadChangeFeed,
  beside,
}: Options = {}): Promise<ReplicaProcess> {
  const database =
    beside === undefined ? await createTestDatabase() : { url: beside.databaseUrl, drop: () => Promise.resolve() };
  const variables = {
    ...productionEnvironment(await leadDatabase(database.url)),
    ...(beside === undefined ? {} : { ENCRYPTION_KEY: beside.environment['ENCRYPTION_KEY'] }),
    ...(leadChangeFeed === undefined ? {} : { KEY_SERVICE_DIRECT_DATABASE_URL: await leadChangeFeed(database.url) }),
    ...environment,
  };
  const service = await startBuiltReplica(variables).catch(async (error) => {
    await database.drop();
    throw error;
  });
  return {
    ...service,
    databaseUrl: database.url,
    environment: variables,
    sql: (statement, values) => execute(database.url, statement, values),
    async stop() {
      await service.end();
      await database.drop();
    },
  };
}
