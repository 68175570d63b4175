import { Command } from 'commander';
import { databaseSecrets } from '../config/config.ts';
import { applyMigrations } from '../database/migrations.ts';
import { reachServers } from '../database/reach.ts';
import { say } from './say.ts';

export function databaseCommands(): Command {
  const group = new Command('database').description('The PostgreSQL schema');
  group
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
  return group;
}
