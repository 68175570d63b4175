import { Command, InvalidArgumentError, Option } from 'commander';
import { rollDataKeys } from '../data-keys/roll-all.ts';
import { rewrapDataKeys } from '../data-keys/rotation.ts';
import { dataKeysOf, encryptionStatus, type MasterKeyUse } from '../data-keys/status.ts';
import type { Unreadable } from '../data-keys/work-through.ts';
import type { Database } from '../database/database.ts';
import { organizationIdOf } from '../organizations/organizations.ts';
import { type Maintenance, withMaintenance } from './maintenance.ts';
import { type Progress, progressOf } from './progress.ts';
import { Recorder } from './recorder.ts';
import { CommandFailed, say } from './say.ts';
import { SEALED_COLUMNS } from './sealed-columns.ts';

const LARGEST_BATCH = 1_000;

const batchSize = () =>
  new Option('--batch-size <rows>', 'how many to do in one transaction').default(100).argParser(wholeBatch);
const organization = () => new Option('--org <clerkOrgId>', 'of this organisation alone');

export function encryptionCommands(): Command {
  const group = new Command('encryption').description('Master keys and data keys, while the service serves');
  group
    .command('rotate')
    .description('Wrap every data key with ENCRYPTION_KEY; every replica has to accept that key already')
    .addOption(batchSize())
    .action((options: { batchSize: number }) => withMaintenance((maintenance) => rotate(maintenance, options)));
  group
    .command('roll-data-keys')
    .description('Give organisations new data keys, and seal their secrets with them')
    .addOption(organization())
    .addOption(batchSize())
    .addOption(
      new Option(
        '--made-before <time>',
        'leave data keys alone that were made since; goes on where an earlier run ended (default: now)',
      ).argParser(instant),
    )
    .action((options: RollCommand) => withMaintenance((maintenance) => roll(maintenance, options)));
  group
    .command('status')
    .description('What each master key and data key still holds; changes nothing')
    .addOption(organization())
    .action((options: { org?: string }) => withMaintenance((maintenance) => status(maintenance, options)));
  return group;
}

async function rotate(maintenance: Maintenance, options: { batchSize: number }): Promise<void> {
  const { database, dataKeys } = maintenance;
  const { keyring } = dataKeys;
  const recorder = new Recorder(maintenance, 'encryption rotate');
  say(`Wrapping every data key with the master key ${keyring.current.id} …`);
  let progress: Progress | undefined;
  const { rewrapped, unreadable, left } = await rewrapDataKeys({
    database,
    keyring,
    runRecorded: recorder.run,
    batchSize: options.batchSize,
    onBegin(total) {
      progress = progressOf('data keys wrapped', total);
    },
    onBatch: (count) => progress?.add(count),
  }).finally(() => progress?.end());
  say(`${rewrapped} data key(s) wrapped anew. ${left === 0 ? 'All are wrapped by this master key now.' : ''}`.trim());
  reportUnreadable(unreadable);
  recorder.tell();
  if (left > unreadable.length) {
    process.exitCode = 1;
    say(
      `${left - unreadable.length} more were wrapped by another master key meanwhile: a replica still has it as its ` +
        'ENCRYPTION_KEY. Deploy all of them, and run this again.',
    );
  }
}

interface RollCommand {
  org?: string;
  batchSize: number;
  madeBefore?: Date;
}

async function roll(maintenance: Maintenance, { org, batchSize, madeBefore }: RollCommand): Promise<void> {
  const { database, dataKeys } = maintenance;
  const recorder = new Recorder(maintenance, 'encryption roll-data-keys');
  let progress: Progress | undefined;
  const { owners, resealed, removed, unreadable } = await rollDataKeys({
    database,
    dataKeys,
    runRecorded: recorder.run,
    columns: SEALED_COLUMNS,
    batchSize,
    ...(org === undefined ? {} : { organizationId: await knownOrganization(database, org) }),
    ...(madeBefore === undefined ? {} : { madeBefore }),
    onBegin(total, since) {
      say(`Should this be interrupted, --made-before ${since.toISOString()} goes on where it ended.`);
      progress = progressOf('data keys rolled', total);
    },
    onBatch: (count) => progress?.add(count),
  }).finally(() => progress?.end());
  say(`${owners} data key(s) rolled: ${resealed} secret(s) sealed anew, ${removed} old data key(s) removed.`);
  reportUnreadable(unreadable);
  recorder.tell();
}

async function status({ database, dataKeys }: Maintenance, { org }: { org?: string }): Promise<void> {
  if (org !== undefined) return organizationStatus(database, org);
  const { masterKeys, dataKeys: counts, secrets } = await encryptionStatus(database, dataKeys.keyring, SEALED_COLUMNS);
  for (const key of masterKeys) say(describeMasterKey(key));
  say(`Data keys: ${counts.current} current, ${counts.retired} retired.`);
  say(`Secrets: ${secrets.current} sealed with current data keys, ${secrets.retired} with retired ones.`);
  if (masterKeys.some(({ role }) => role === 'unknown')) process.exitCode = 1;
}

function describeMasterKey({ id, role, dataKeys }: MasterKeyUse): string {
  const line = `Master key ${id} (${role}) wraps ${dataKeys} data key(s)`;
  if (role === 'current') return `${line}.`;
  if (role === 'unknown') return `${line}, which do not open: name it in ENCRYPTION_KEYS_ACCEPTED.`;
  return dataKeys === 0
    ? `${line}: it can be removed from ENCRYPTION_KEYS_ACCEPTED, unless it is the next one. Backups that were made before may still need it.`
    : `${line}: it is needed until \`key-service encryption rotate\` has wrapped them anew.`;
}

async function organizationStatus(database: Database, org: string): Promise<void> {
  const dataKeys = await dataKeysOf(database, await knownOrganization(database, org), SEALED_COLUMNS);
  for (const { id, masterKeyId, seals, createdAt, retiredAt, secrets } of dataKeys) {
    const state = retiredAt === null ? 'current' : `retired ${retiredAt.toISOString()}`;
    say(
      `Data key ${id} (made ${createdAt.toISOString()}, ${state}) holds ${secrets} secret(s), has had ${seals} seals ` +
        `taken, and is wrapped by master key ${masterKeyId}.`,
    );
  }
  if (dataKeys.length === 0) say('This organisation has no data key yet.');
}

function reportUnreadable(unreadable: readonly Unreadable[]): void {
  if (unreadable.length === 0) return;
  process.exitCode = 1;
  say(`${unreadable.length} could not be opened, and were left as they are:`);
  for (const { name, reason } of unreadable) say(`  ${name} (${reason})`);
}

async function knownOrganization(database: Database, clerkOrgId: string): Promise<string> {
  const id = await database.query((queries) => organizationIdOf(queries, clerkOrgId));
  if (id === undefined) throw new CommandFailed(`The organisation ${clerkOrgId} is not known here.`);
  return id;
}

function wholeBatch(text: string): number {
  const rows = Number(text);
  if (!/^\d+$/.test(text) || rows < 1 || rows > LARGEST_BATCH) {
    throw new InvalidArgumentError(`It is a whole number from 1 to ${LARGEST_BATCH}.`);
  }
  return rows;
}

function instant(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('It is a time such as 2026-01-31T12:00:00Z.');
  return time;
}
