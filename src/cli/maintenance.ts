import { maintenanceSecrets } from '../config/config.ts';
import { DataKeys } from '../data-keys/data-keys.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { migrationsApplied } from '../database/migrations.ts';
import { reachServers } from '../database/reach.ts';
import { openKeyring } from '../open-keyring.ts';
import { CommandFailed, say } from './say.ts';

export interface Maintenance {
  database: Database;
  dataKeys: DataKeys;
}

/** Counting a large table takes its time, and holds up nobody. */
const PATIENCE_MS = 60_000;
const CONNECTIONS = 4;
const CLOSE_LIMIT_MS = 1_000;

/** Runs work on stored secrets with the database and the master keys that the environment names. */
export async function withMaintenance(work: (maintenance: Maintenance) => Promise<void>): Promise<void> {
  const secrets = maintenanceSecrets();
  const servers = await reachServers(secrets, (reason) => say(`Waiting for the database (${reason}) …`));
  const database = openDatabase({
    server: servers.direct ?? servers.pool,
    poolMax: CONNECTIONS,
    onIdleConnectionLost: () => {},
    patienceMs: PATIENCE_MS,
  });
  try {
    if (!(await database.query(migrationsApplied))) {
      throw new CommandFailed(
        'The database lacks migrations: run `key-service database migrate`, or start the service.',
      );
    }
    const keyring = await openKeyring(secrets);
    const onDamaged = (id: string) => say(`Data key ${id} does not open and was retired; it was altered.`);
    await work({ database, dataKeys: new DataKeys({ database, keyring, onDamaged }) });
  } finally {
    await database.close(CLOSE_LIMIT_MS);
  }
}
