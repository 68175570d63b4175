import type { z } from 'zod';
import { weakMasterKeys } from './master-keys.ts';
import type { Variables } from './variables.ts';

const SHORTEST_PRODUCTION_SERVICE_KEY = 16;

/** Names every missing or invalid variable in one message, and never a value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(problems: readonly string[]) {
    super(`Key Service cannot start. Set these environment variables:\n${problems.map((p) => `  - ${p}`).join('\n')}`);
  }
}

/** What else listens on this machine may trust whoever comes from it; only the operator knows. */
export function loopbackProblems(v: Variables): string[] {
  const hasLoopback = v.PROVIDER_BASE_URLS?.some(({ reach }) => reach === 'loopback') ?? false;
  if (!hasLoopback || v.PROVIDER_CHECKS_ALLOW_LOOPBACK === 'true') return [];
  return ['PROVIDER_BASE_URLS must not lead to this machine unless PROVIDER_CHECKS_ALLOW_LOOPBACK is true'];
}

/** What development may do without and production may not. */
export function productionProblems(environment: NodeJS.ProcessEnv): string[] {
  if (!isProduction(environment)) return [];
  const problems = weakMasterKeys(environment);
  if (environment['CLERK_SECRET_KEY'] === undefined) problems.push(missing('CLERK_SECRET_KEY'));
  for (const name of ['KEY_SERVICE_API_KEY', 'KEY_SERVICE_API_KEY_PREVIOUS']) {
    const key = environment[name];
    if (key !== undefined && key.length < SHORTEST_PRODUCTION_SERVICE_KEY) {
      problems.push(`${name} must have at least ${SHORTEST_PRODUCTION_SERVICE_KEY} characters`);
    }
  }
  return problems;
}

export function isProduction(environment: NodeJS.ProcessEnv): boolean {
  return (environment['NODE_ENV'] ?? 'production') === 'production';
}

export function describe(issue: z.core.$ZodIssue): string {
  const name = String(issue.path[0]);
  // Variables are strings or absent, so a wrong type is an absent one.
  return issue.code === 'invalid_type' ? missing(name) : `${name} ${issue.message}`;
}

/** What each required variable is, said to the person who has not set it. */
const REQUIRED: Record<string, string> = {
  KEY_SERVICE_DATABASE_URL: 'the PostgreSQL database, as postgresql://user:password@host:5432/name',
  ENCRYPTION_KEY: 'the master key for provider keys, 64 hexadecimal characters from `openssl rand -hex 32`',
  CLERK_SECRET_KEY: "Clerk's secret key, from its dashboard under API keys",
  KEY_SERVICE_API_KEY: 'the root service key, sent in X-Service-Key, from `openssl rand -base64 32`',
};

function missing(name: string): string {
  return `${name} is missing: ${REQUIRED[name] ?? 'it has no default'}`;
}
