import {
  type Config,
  type DatabaseSecrets,
  type MaintenanceSecrets,
  type Secrets,
  toConfig,
  toDatabaseSecrets,
  toEncryptionSecrets,
  toSecrets,
} from './contents.ts';
import { weakMasterKeys } from './master-keys.ts';
import { ConfigurationError, describe, isProduction, loopbackProblems, productionProblems } from './problems.ts';
import { databaseVariables, maintenanceVariables, variables } from './variables.ts';

export type { Config, EncryptionSecrets, Secrets } from './contents.ts';
export type { MasterKeySource } from './master-keys.ts';
export { ConfigurationError } from './problems.ts';

/**
 * Reads the environment once. White space around a value is no part of it, and an empty value is a missing one.
 *
 * @throws ConfigurationError
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): { config: Config; secrets: Secrets } {
  const parsed = variables.safeParse(trimmed(environment));
  const problems = parsed.success ? loopbackProblems(parsed.data) : parsed.error.issues.map(describe);
  problems.push(...productionProblems(trimmed(environment)));
  if (!parsed.success || problems.length > 0) throw new ConfigurationError([...new Set(problems)]);
  return { config: toConfig(parsed.data), secrets: toSecrets(parsed.data) };
}

/** The variables that work on the database alone needs. @throws ConfigurationError */
export function databaseSecrets(environment: NodeJS.ProcessEnv = process.env): DatabaseSecrets {
  const parsed = databaseVariables.safeParse(trimmed(environment));
  if (!parsed.success) throw new ConfigurationError(parsed.error.issues.map(describe));
  return toDatabaseSecrets(parsed.data);
}

/**
 * The variables that work on stored secrets needs: the database and the master keys, which have to be as good as the
 * service's own. @throws ConfigurationError
 */
export function maintenanceSecrets(environment: NodeJS.ProcessEnv = process.env): MaintenanceSecrets {
  const parsed = maintenanceVariables.safeParse(trimmed(environment));
  const problems = parsed.success ? [] : parsed.error.issues.map(describe);
  if (isProduction(trimmed(environment))) problems.push(...weakMasterKeys(trimmed(environment)));
  if (!parsed.success || problems.length > 0) throw new ConfigurationError([...new Set(problems)]);
  return { ...toDatabaseSecrets(parsed.data), ...toEncryptionSecrets(parsed.data) };
}

/** After how many days events of the audit log may be cut; null: never. @throws ConfigurationError */
export function auditRetentionDays(environment: NodeJS.ProcessEnv = process.env): number | null {
  const parsed = variables.pick({ AUDIT_RETENTION_DAYS: true }).safeParse(trimmed(environment));
  if (!parsed.success) throw new ConfigurationError(parsed.error.issues.map(describe));
  return parsed.data.AUDIT_RETENTION_DAYS ?? null;
}

function trimmed(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(environment).map(([name, value]) => [name, value?.trim() || undefined]);
  return Object.fromEntries(entries);
}
