import type { Bench } from './bench.ts';
import { compiledServer } from './compile-servers.ts';
import { ISSUED } from './fill.ts';
import { keyOf } from './keys.ts';
import type { ServerCommand } from './servers.ts';

/** A server that is measured. */
export interface Subject {
  id: string;
  /** As tables and charts call it. */
  name: string;
  command: ServerCommand;
}

export const EXPRESS = 'express';
export const EXPRESS_BORN = 'express-born';
export const NODE_HTTP = 'node-http';
export const SERVICE = 'key-service';
export const INSERT_PER_REVEAL = 'insert-per-reveal';
export const UPDATE_PER_USE = 'update-per-use';
export const REVEAL_ALONE = 'reveal-alone';
export const REVEAL_UNRECORDED = 'reveal-unrecorded';

function peer(program: string, environment: Record<string, string> = {}): ServerCommand {
  return {
    program: [compiledServer(program)],
    environment,
    readyPath: '/validate',
    readyHeaders: { Authorization: `Bearer ${keyOf(ISSUED, 0)}` },
  };
}

export function nodeHttp(): Subject {
  return { id: NODE_HTTP, name: 'node:http, constant', command: peer('node-http') };
}

export function bareExpress(): Subject {
  return { id: EXPRESS, name: 'Express 4, constant', command: peer('express') };
}

/** What Express can be made to do: the limit of a service that is built on it. */
export function expressAtItsBest(): Subject {
  return { id: EXPRESS_BORN, name: 'Express 4 at its best, hash and look-up in memory', command: peer('express-born') };
}

/** The look-up of the key's row alone, or of everything that an answer of Key Service is made of. */
export function expressLookUp(databaseUrl: string, statement: 'row' | 'answer'): Subject {
  const environment = { DATABASE_URL: databaseUrl, STATEMENT: statement };
  const what = statement === 'row' ? 'one prepared look-up' : 'one prepared look-up of the whole answer';
  return { id: `express-pg-${statement}`, name: `Express 4, ${what}`, command: peer('express-pg', environment) };
}

export function naive(databaseUrl: string): Subject {
  return { id: 'naive', name: 'Naive service', command: peer('naive', { DATABASE_URL: databaseUrl }) };
}

/** Records each reveal by itself. */
export function insertPerReveal(databaseUrl: string): Subject {
  return {
    id: INSERT_PER_REVEAL,
    name: 'Express 4, one INSERT and commit a reveal',
    command: peer('insert-per-reveal', { DATABASE_URL: databaseUrl }),
  };
}

/** Counts each use by itself. */
export function updatePerUse(databaseUrl: string): Subject {
  return {
    id: UPDATE_PER_USE,
    name: 'Express 4, one UPDATE and commit a use',
    command: peer('update-per-use', { DATABASE_URL: databaseUrl }),
  };
}

/** The service itself, had it no shared commits. */
export function revealAlone({ command }: Subject): Subject {
  return {
    id: REVEAL_ALONE,
    name: 'Key Service, a commit for each reveal',
    command: changedBy('reveal-alone', command),
  };
}

/** The service itself, did it not record what it reveals. */
export function revealUnrecorded({ command }: Subject): Subject {
  const name = 'Key Service, a reveal that is not recorded';
  return { id: REVEAL_UNRECORDED, name, command: changedBy('reveal-unrecorded', command) };
}

/** With a module of ours loaded before it. */
function changedBy(program: string, command: ServerCommand): ServerCommand {
  return { ...command, program: ['--import', compiledServer(program), ...command.program] };
}

export function betterAuths(databaseUrl: string, keysFile: string): Subject[] {
  const onPostgres = { DATABASE_URL: databaseUrl };
  const unlimited = { ...onPostgres, RATE_LIMITING: 'off' };
  const inMemory = { STORAGE: 'memory', KEYS_FILE: keysFile, RATE_LIMITING: 'off' };
  const variants = [
    { id: 'better-auth', name: 'better-auth', environment: onPostgres },
    { id: 'better-auth-unlimited', name: 'better-auth, no rate limits', environment: unlimited },
    {
      id: 'better-auth-born',
      name: 'better-auth, no rate limits, prototypes at birth',
      environment: { ...unlimited, PROTOTYPES: 'at-birth' },
    },
    { id: 'better-auth-memory', name: 'better-auth, no rate limits, in memory', environment: inMemory },
  ];
  return variants.map(({ id, name, environment }) => ({ id, name, command: peer('better-auth', environment) }));
}

interface Variant {
  id?: string;
  name?: string;
  databaseUrl?: string;
  environment?: Record<string, string>;
}

/** This service as it runs in production: built, every variable that production needs, logs on. */
export async function keyService(
  { serviceDatabase, standIns, encryptionKey, serviceKey }: Bench,
  { id = SERVICE, name = 'Key Service', databaseUrl, environment = {} }: Variant = {},
): Promise<Subject> {
  return {
    id,
    name,
    command: {
      program: ['dist/main.js'],
      readyPath: '/health/ready',
      environment: {
        HOST: '127.0.0.1',
        KEY_SERVICE_DATABASE_URL: databaseUrl ?? (await serviceDatabase()),
        ENCRYPTION_KEY: encryptionKey,
        KEY_SERVICE_API_KEY: serviceKey,
        CLERK_SECRET_KEY: 'sk_test_not_a_real_key',
        CLERK_API_URL: standIns.clerkUrl,
        ...environment,
      },
    },
  };
}
