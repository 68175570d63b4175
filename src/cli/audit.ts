import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError } from 'commander';
import { AuditLog, type ExportedEvent } from '../audit/audit-log.ts';
import type { Fault } from '../audit/chain-verifier.ts';
import { headsIn } from '../audit/moved-heads.ts';
import { Retention } from '../audit/retention.ts';
import { type LoggedHeads, Verification, type VerifiedChain } from '../audit/verification.ts';
import { auditRetentionDays } from '../config/config.ts';
import { AuditKeys } from '../data-keys/audit-keys.ts';
import { opensSystemKey, readSystemKey } from '../data-keys/master-key-proof.ts';
import { type Maintenance, withMaintenance } from './maintenance.ts';
import { auditOf, commandLine } from './recorder.ts';
import { CommandFailed, complain, say } from './say.ts';

/** `key-service audit …` */
export function auditCommands(): Command {
  const audit = new Command('audit').description('The audit log');
  audit
    .command('verify')
    .description('Follow every chain of events; the exit code is 1 when one was altered')
    .option('--org <clerkOrgId>', 'of this organisation alone')
    .option('--heads <file>', 'a log of the service: with the heads in it, a chain whose end was cut off is found too')
    .action(verify);
  audit
    .command('export')
    .description('Write events as JSON, one a line, chain by chain')
    .option('--org <clerkOrgId>', 'of this organisation alone')
    .option('--since <instant>', 'from this instant on, as RFC 3339', toInstant)
    .option('--until <instant>', 'before this instant', toInstant)
    .action(writeEvents);
  audit
    .command('cut')
    .description('Cut what is older than AUDIT_RETENTION_DAYS; the service does the same every hour')
    .option('--days <days>', 'than so many days', toDays)
    .action(cut);
  return audit;
}

async function verify({ org, heads }: { org?: string; heads?: string }): Promise<void> {
  const logged = heads === undefined ? new Map() : await readHeads(heads);
  const totals = { chains: 0, events: 0, faults: 0 };
  const tell = ({ chain, clerkOrgId, events, fault }: VerifiedChain) => {
    totals.chains += 1;
    totals.events += events;
    if (fault === null) return;
    totals.faults += 1;
    say(`${clerkOrgId ?? chain}: ${faultText(fault)}`);
  };
  await withAudit(async ({ database, dataKeys }) => {
    const verification = new Verification(database, new AuditKeys(database, dataKeys));
    if (org === undefined) {
      for await (const chain of verification.all(logged)) tell(chain);
    } else {
      const chain = await verification.ofOrganization(org, logged);
      if (chain === null) complain('No such organisation is known here.');
      else tell(chain);
      if (chain === null) process.exitCode = 1;
    }
  });
  say(`Verified ${totals.events} event(s) of ${totals.chains} chain(s); ${totals.faults} chain(s) were altered.`);
  if (totals.faults > 0) process.exitCode = 1;
}

function faultText({ kind, sequence, eventId }: Fault): string {
  const event = `event ${sequence}${eventId === null ? '' : ` (${eventId})`}`;
  switch (kind) {
    case 'missing':
      return `${event} is missing`;
    case 'altered':
      return `${event} was altered, moved or forged`;
    case 'unknown_key':
      return `${event} names a data key that is not there or does not open: it was forged, or data_keys was altered`;
    case 'checkpoint_altered':
      return `its checkpoint at event ${sequence} was altered or forged`;
    case 'head_altered':
      return `its head is gone, or is not its newest event (it says ${sequence})`;
    case 'tail_cut':
      return `its end was cut off: ${event} is missing, and the log has one as late or later`;
    case 'rewritten':
      return `${event} is not the one that the log has: its end was cut off, and it went on`;
  }
}

/** Whatever stands in the file around them: a log is taken as it is. */
async function readHeads(file: string): Promise<LoggedHeads> {
  const logged = new Map<string, Map<number, string>>();
  let heads = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    for (const { chain, sequence, mac } of headsIn(line)) {
      const ofChain = logged.get(chain) ?? new Map<number, string>();
      logged.set(chain, ofChain.set(sequence, mac));
      heads += 1;
    }
  }
  if (heads === 0) throw new CommandFailed('The file holds no logged heads of audit chains.');
  say(`Compared with ${heads} logged head(s) of ${logged.size} chain(s).`);
  return logged;
}

async function writeEvents({ org, since, until }: { org?: string; since?: Date; until?: Date }): Promise<void> {
  const filter = { clerkOrgId: org ?? null, since: since ?? null, until: until ?? null };
  // Whoever reads may have had enough.
  process.stdout.on('error', () => process.exit());
  await withAudit(async ({ database }) => {
    for await (const page of new AuditLog(database).export(filter)) {
      const lines = page.map((event) => `${JSON.stringify(exported(event))}\n`).join('');
      if (!process.stdout.write(lines)) await once(process.stdout, 'drain');
    }
  });
}

function exported({ actorKind, actor, targetType, targetId, mac, ...event }: ExportedEvent) {
  return {
    ...event,
    actor: { kind: actorKind, name: actor },
    target: { type: targetType, id: targetId },
    mac: mac.toString('hex'),
  };
}

async function cut({ days: asked }: { days?: number }): Promise<void> {
  const days = asked ?? auditRetentionDays();
  if (days === null) throw new CommandFailed('Say --days, or set AUDIT_RETENTION_DAYS.');
  await withAudit(async (maintenance) => {
    const { audit, keys, heads } = auditOf(maintenance);
    const { chains, events, busy, faults } = await new Retention(audit, keys).cut(commandLine('audit cut'), days);
    heads.tellAll();
    for (const { chain, fault } of faults) say(`${chain}: not cut, ${faultText(fault)}`);
    say(`Cut ${events} event(s) of ${chains} chain(s).${busy ? ' Another process is cutting just now.' : ''}`);
    if (faults.length > 0) process.exitCode = 1;
  });
}

/** @throws MasterKeyMismatch, when every event would look forged */
function withAudit(work: (maintenance: Maintenance) => Promise<void>): Promise<void> {
  return withMaintenance(async (maintenance) => {
    const { database, dataKeys } = maintenance;
    const away = await opensSystemKey(dataKeys, await database.query(readSystemKey));
    if (away !== null) throw new CommandFailed(`The master key cannot be reached (${away.reason}).`);
    await work(maintenance);
  });
}

function toInstant(text: string): Date {
  const instant = new Date(text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(instant.getTime())) {
    throw new InvalidArgumentError('It must be a date or an instant, such as 2030-01-31T12:00:00Z.');
  }
  return instant;
}

function toDays(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of days.');
  return Number(text);
}
