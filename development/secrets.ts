import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createOnce } from './create-once.ts';

/** The service key of this data directory, made at the first call. */
export function developmentServiceKey(dataDirectory: string): Promise<string> {
  return secret(dataDirectory, 'service-key', () => `dev_${randomBytes(32).toString('base64url')}`);
}

/** The master key of this data directory: 64 hexadecimal digits, made at the first call. */
export function developmentEncryptionKey(dataDirectory: string): Promise<string> {
  return secret(dataDirectory, 'encryption-key', () => randomBytes(32).toString('hex'));
}

async function secret(directory: string, name: string, make: () => string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return (await createOnce(join(directory, name), () => `${make()}\n`)).trim();
}
