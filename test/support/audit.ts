import { expect } from 'vitest';
import { Audit } from '../../src/audit/audit.ts';
import { headsIn, MovedHeads } from '../../src/audit/moved-heads.ts';
import { type LoggedHeads, Verification, type VerifiedChain } from '../../src/audit/verification.ts';
import { AuditKeys } from '../../src/data-keys/audit-keys.ts';
import { DataKeys } from '../../src/data-keys/data-keys.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import { masterKeyFromBytes } from '../../src/encryption/master-key.ts';
import type { TestService } from './service.ts';

export interface ListedEvent {
  id: string;
  clerkOrgId: string | null;
  sequence: number;
  occurredAt: string;
  actor: { kind: string; name: string };
  action: string;
  target: { type: string; id: string | null };
  provider: string | null;
  requestId: string;
  address: string | null;
  details: Record<string, unknown>;
}

/** A page of events, as the endpoint answers. */
export async function listEvents(
  service: Pick<TestService, 'asService'>,
  query: Record<string, string> = {},
): Promise<{ events: ListedEvent[]; nextCursor: string | null }> {
  const answer = await service.asService('GET', `/internal/audit-events?${new URLSearchParams(query)}`);
  if (answer.status !== 200) throw new Error(`Listing audit events answered ${answer.text}`);
  return answer.body;
}

/** Verifies the chains of a running service, as the command does, from outside of it. */
export interface Auditor {
  database: Database;
  keys: AuditKeys;
  all(logged?: LoggedHeads): Promise<VerifiedChain[]>;
  /** What is wrong, of all chains or with the heads that were logged. */
  faults(logged?: LoggedHeads): Promise<Pick<VerifiedChain, 'clerkOrgId' | 'fault'>[]>;
  close(): Promise<void>;
}

export function auditorOf({ databaseUrl, environment }: Pick<TestService, 'databaseUrl' | 'environment'>): Auditor {
  const database = openDatabase({
    server: { url: databaseUrl, pooled: false },
    poolMax: 2,
    onIdleConnectionLost: () => {},
  });
  const masterKey = masterKeyFromBytes(Buffer.from(environment['ENCRYPTION_KEY'] ?? '', 'hex'));
  const keyring = new Keyring(masterKey, []);
  const keys = new AuditKeys(database, new DataKeys({ database, keyring, onDamaged: () => {} }));
  const verification = new Verification(database, keys);
  const all: Auditor['all'] = async (logged) => {
    const chains: VerifiedChain[] = [];
    for await (const chain of verification.all(logged)) chains.push(chain);
    return chains;
  };
  return {
    database,
    keys,
    all,
    faults: async (logged) =>
      (await all(logged)).flatMap(({ clerkOrgId, fault }) => (fault === null ? [] : [{ clerkOrgId, fault }])),
    close: () => database.close(1_000),
  };
}

/** Records for real, and tells nobody of it. */
export function quietAudit(database: Database, dataKeys: DataKeys): Audit {
  return new Audit({
    database,
    keys: new AuditKeys(database, dataKeys),
    heads: new MovedHeads(() => {}),
    onBatch: () => {},
    onEvents: () => {},
    onWaited: () => {},
    onHeadless: () => {},
  });
}

/** The heads that a service has logged so far. */
export function loggedHeads({ logLines }: Pick<TestService, 'logLines'>): Map<string, Map<number, string>> {
  const logged = new Map<string, Map<number, string>>();
  for (const line of logLines) {
    for (const { chain, sequence, mac } of headsIn(JSON.stringify(line))) {
      logged.set(chain, (logged.get(chain) ?? new Map<number, string>()).set(sequence, mac));
    }
  }
  return logged;
}

/** Locks of the table of events, in this database. @param which a condition */
export function locksOfEvents({ sql }: Pick<TestService, 'sql'>, which: string) {
  return sql(
    `select 1 from pg_locks where ${which} and relation = 'key_service.audit_events'::regclass
       and database = (select oid from pg_database where datname = current_database())`,
  );
}

/** Nothing can be added to the audit for so long, from when it resolves. */
export async function holdEvents(
  service: Pick<TestService, 'sql'>,
  seconds: number,
): Promise<{ released: Promise<unknown> }> {
  const released = service.sql(
    `begin; lock key_service.audit_events in exclusive mode; select pg_sleep(${seconds}); commit`,
  );
  await expect.poll(() => locksOfEvents(service, "mode = 'ExclusiveLock' and granted")).toHaveLength(1);
  return { released };
}
