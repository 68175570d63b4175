import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../development/embedded-postgres/embedded-postgres.ts';
import { applyMigrations } from '../../src/database/migrations.ts';
import { createDatabase, dropDatabase } from './database-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database on the tests' server whose user may create others. */
    adminUrl: string;
    /** A migrated database that every test file's own is copied from. */
    templateDatabase: string;
  }
}

let close: (() => Promise<void>) | undefined;

/** One real PostgreSQL server for the whole run: an embedded one, or the one that TEST_DATABASE_URL names. */
export async function setup(project: TestProject): Promise<void> {
  const server = await openServer();
  const template = `key_service_template_${process.pid}`;
  await applyMigrations({ url: await createDatabase(server.url, template), pooled: false });
  project.provide('adminUrl', server.url);
  project.provide('templateDatabase', template);
  close = async () => {
    await dropDatabase(server.url, template);
    await server.stop();
  };
}

export async function teardown(): Promise<void> {
  await close?.();
}

async function openServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const url = process.env['TEST_DATABASE_URL'];
  if (url !== undefined) return { url, stop: async () => {} };
  const directory = await mkdtemp(join(tmpdir(), 'key-service-test-'));
  const server = await startEmbeddedPostgres({ directory, database: 'postgres', durable: false });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
