import { Command } from 'commander';
import { ConfigurationError, databaseSecrets } from '../config.ts';
import { applyMigrations, MigrationsFailed } from '../database/migrations.ts';
import { DatabaseUnreachable, reachServers } from '../database/reach.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

const program = new Command('key-service').description("The service's own work, from a terminal");

program
  .command('database')
  .description('The PostgreSQL schema')
  .command('migrate')
  .description('Apply the migrations that are missing; the service does the same at start')
  .action(async () => {
    const { pool, direct } = await reachServers(databaseSecrets(), (reason) =>
      say(`Waiting for the database (${reason}) …`),
    );
    const applied = await applyMigrations(direct ?? pool, () =>
      say('Waiting for another process to finish migrating …'),
    );
    say(applied === 0 ? 'Nothing to apply: the database is up to date.' : `Applied ${applied} migration(s).`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (![ConfigurationError, DatabaseUnreachable, MigrationsFailed].some((kind) => error instanceof kind)) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
