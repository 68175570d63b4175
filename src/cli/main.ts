import { Command } from 'commander';
import { ConfigurationError, databaseUrlOf } from '../config.ts';
import { applyMigrations } from '../database/migrations.ts';
import { DatabaseUnreachable, reachDatabase } from '../database/reach.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

const program = new Command('key-service').description("The service's own work, from a terminal");

program
  .command('database')
  .description('The PostgreSQL schema')
  .command('migrate')
  .description('Apply the migrations that are missing; the service does the same at start')
  .action(async () => {
    const { url } = await reachDatabase(databaseUrlOf(), {
      onWaiting: (reason) => say(`Waiting for the database (${reason}) …`),
    });
    const applied = await applyMigrations(url, () => say('Waiting for another process to finish migrating …'));
    say(applied === 0 ? 'Nothing to apply: the database is up to date.' : `Applied ${applied} migration(s).`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof ConfigurationError || error instanceof DatabaseUnreachable)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
