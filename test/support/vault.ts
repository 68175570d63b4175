import { randomBytes, randomUUID } from 'node:crypto';
import type { Answering } from '../../src/answering.ts';
import { ApiKeys } from '../../src/api-keys/api-keys.ts';
import { KeyCopies } from '../../src/api-keys/key-copies.ts';
import { KeyRecoveries } from '../../src/api-keys/key-recoveries.ts';
import type { ServiceCaller } from '../../src/caller.ts';
import { DataKeys, type DataKeysOptions } from '../../src/data-keys/data-keys.ts';
import type { RunRecorded } from '../../src/data-keys/recorded.ts';
import { noChangeFeed } from '../../src/database/change-feed/change-feed.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { Keyring } from '../../src/encryption/keyring.ts';
import { type MasterKey, masterKeyFromBytes } from '../../src/encryption/master-key.ts';
import { KeyOpener } from '../../src/provider-keys/key-opener.ts';
import { KeyVersions } from '../../src/provider-keys/key-versions.ts';
import { type Owner, PLATFORM } from '../../src/provider-keys/owner.ts';
import { ProviderKeys } from '../../src/provider-keys/provider-keys.ts';
import { RecordedReveals } from '../../src/provider-keys/recorded-reveals.ts';
import { RevealGate } from '../../src/reveal-freezes/reveal-gate.ts';
import { LastUsed } from '../../src/usage/last-used.ts';
import { quietAudit } from './audit.ts';
import { newOrganization } from './client.ts';
import { execute } from './database-server.ts';
import { createTestDatabase } from './test-database.ts';

const caller: ServiceCaller = {
  kind: 'service',
  name: 'test',
  permissions: null,
  revealProviders: null,
  requestId: 'test',
  address: null,
};

const PLAIN_KEY = {
  name: null,
  environment: 'live',
  expiresAt: null,
  scopes: null,
  metadata: {},
  remainingUses: null,
  refill: null,
  ipAllowList: null,
  rateLimit: null,
} as const;
/** Nobody made an answer of it: what it came to is the answer. */
const plainly = <T>(): Answering<T, T> => ({
  begin: async () => {},
  conclude: async (_queries, result) => result,
  unchanged: (result) => result,
});

/** Runs a change of data keys as the command does, and records nothing of it. */
export const unrecorded =
  (database: Database): RunRecorded =>
  async (work) =>
    database.transaction(async (queries) => (await work(queries)).result);

export const newMasterKey = () => masterKeyFromBytes(randomBytes(32));

/** A master key that does what the test says; what it wraps is wrapped for real. */
export class ScriptedMasterKey implements MasterKey {
  readonly #key = newMasterKey();
  readonly id = this.#key.id;
  /** Data keys that it was asked to open. */
  readonly asked: string[] = [];
  /** Awaited before each answer; what it throws is the answer. */
  before: () => Promise<void> = async () => {};

  wrap: MasterKey['wrap'] = async (identity, dataKey) => {
    await this.before();
    return this.#key.wrap(identity, dataKey);
  };
  unwrap: MasterKey['unwrap'] = async (identity, wrapped) => {
    this.asked.push(identity.id);
    await this.before();
    return this.#key.unwrap(identity, wrapped);
  };
}

/** Provider keys on a database, without HTTP: as many of these as a test wants, each with its own master keys and memory. */
export interface Vault {
  dataKeys: DataKeys;
  save(clerkOrgId: string, provider: string, secret: string): Promise<{ version: number }>;
  /** The same for the platform's own key. */
  savePlatforms(provider: string, secret: string): Promise<{ version: number }>;
  rollback(clerkOrgId: string, provider: string, version: number): Promise<{ version: number }>;
  remove(clerkOrgId: string, provider: string): Promise<boolean>;
  reveal(clerkOrgId: string, provider: string): Promise<string>;
  revealPlatforms(provider: string): Promise<string>;
  /** Issues an API key that can be recovered. */
  issue(clerkOrgId: string): Promise<{ id: string; key: string }>;
  recover(clerkOrgId: string, id: string): Promise<string>;
}

export interface VaultDatabase {
  url: string;
  database: Database;
  sql<Row extends Record<string, unknown>>(statement: string, values?: unknown[]): Promise<Row[]>;
  vault(current: MasterKey, accepted?: readonly MasterKey[], options?: Partial<DataKeysOptions>): Vault;
  close(): Promise<void>;
}

export async function createVaultDatabase(): Promise<VaultDatabase> {
  const own = await createTestDatabase();
  const database = openDatabase({
    server: { url: own.url, pooled: false },
    poolMax: 10,
    onIdleConnectionLost: () => {},
  });
  return {
    url: own.url,
    database,
    sql: (statement, values) => execute(own.url, statement, values),
    vault(current, accepted = [], options = {}) {
      const dataKeys = new DataKeys({
        database,
        keyring: new Keyring(current, accepted),
        onDamaged: () => {},
        ...options,
      });
      const changes = noChangeFeed;
      const audit = quietAudit(database, dataKeys);
      const opener = new KeyOpener(dataKeys, () => {});
      const checker = { canBeAsked: () => false, check: async () => 'unchecked' as const };
      const versions = new KeyVersions({ database, audit, changes, dataKeys, opener, checker });
      const providerKeys = new ProviderKeys({
        database,
        audit,
        opener,
        reveals: new RecordedReveals(audit, opener, new RevealGate({ database, changes })),
        changes,
        cacheMaxBytes: 1024 * 1024,
        lookUpsAtOnce: 2,
        lastUsed: new LastUsed(
          async () => {},
          () => {},
        ),
      });
      const gate = new RevealGate({ database, changes });
      const copies = new KeyCopies(dataKeys);
      const apiKeys = new ApiKeys({ database, audit, changes, copies, prefix: 'ks' });
      const recoveries = new KeyRecoveries({ database, audit, dataKeys, gate, onUnreadable: () => {} });
      const save = (owner: Owner, provider: string, secret: string) =>
        versions.save(caller, { owner, provider, secret, check: false }, plainly());
      return {
        dataKeys,
        save: (clerkOrgId, provider, secret) => save({ clerkOrgId }, provider, secret),
        savePlatforms: (provider, secret) => save(PLATFORM, provider, secret),
        rollback: (clerkOrgId, provider, version) =>
          versions.rollback(caller, { owner: { clerkOrgId }, provider, version }, plainly()),
        remove: (clerkOrgId, provider) => providerKeys.remove(caller, { clerkOrgId }, provider),
        reveal: async (clerkOrgId, provider) => (await providerKeys.reveal(caller, clerkOrgId, provider)).key,
        revealPlatforms: async (provider) => (await providerKeys.revealPlatforms(caller, provider)).key,
        async issue(clerkOrgId) {
          const { key, apiKey } = await apiKeys.issue(
            caller,
            { ...PLAIN_KEY, clerkOrgId, recoverable: true },
            plainly(),
          );
          return { id: apiKey.id, key };
        },
        recover: async (clerkOrgId, id) => (await recoveries.recover(caller, clerkOrgId, id)).key,
      };
    },
    async close() {
      await database.close(1_000);
      await own.drop();
    },
  };
}

/** Obviously nobody's, and each another. */
export const newSecret = () => `not-a-real-secret-${randomUUID()}`;

/** Organisations with a secret each. */
export async function fillVault(vault: Vault, organizations: number): Promise<{ org: string; secret: string }[]> {
  const filled = Array.from({ length: organizations }, () => ({ org: newOrganization(), secret: newSecret() }));
  for (const { org, secret } of filled) await vault.save(org, 'openai', secret);
  return filled;
}
