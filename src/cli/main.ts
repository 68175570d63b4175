import { Command } from 'commander';
import { ConfigurationError } from '../config/config.ts';
import { MasterKeyMismatch } from '../data-keys/master-key-proof.ts';
import { StillBusy } from '../data-keys/work-through.ts';
import { MigrationsFailed } from '../database/migrations.ts';
import { DatabaseUnreachable } from '../database/reach.ts';
import { ServiceError } from '../errors.ts';
import { auditCommands } from './audit.ts';
import { databaseCommands } from './database.ts';
import { encryptionCommands } from './encryption.ts';
import { CommandFailed } from './say.ts';

/** Why a command fails through no fault of ours; these messages are written for whoever runs it. */
const EXPECTED = [
  ...[ConfigurationError, DatabaseUnreachable, MigrationsFailed, MasterKeyMismatch],
  ...[StillBusy, CommandFailed, ServiceError],
];

const program = new Command('key-service')
  .description("The service's own work, from a terminal")
  .addCommand(databaseCommands())
  .addCommand(encryptionCommands())
  .addCommand(auditCommands());

try {
  await program.parseAsync();
} catch (error) {
  if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
