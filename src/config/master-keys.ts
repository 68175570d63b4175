import { z } from 'zod';
import { weakness } from '../encryption/weak-key.ts';
import { listed } from './values.ts';

/** Where a master key is: 32 bytes that were given, or kept by AWS KMS. */
export type MasterKeySource = { kind: 'bytes'; key: Buffer } | { kind: 'aws-kms'; keyArn: string };

const HEXADECIMAL_KEY = /^[0-9a-fA-F]{64}$/;
/** Of a key itself: an alias can be led to another one. */
const KMS_KEY = /^aws-kms:\/\/(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+)$/;
const A_MASTER_KEY =
  '64 hexadecimal characters (32 bytes): make one with `openssl rand -hex 32`; or aws-kms:// and the ARN of a key';

/** @param text has been found to be one */
function masterKeySource(text: string): MasterKeySource {
  const [, keyArn] = KMS_KEY.exec(text) ?? [];
  return keyArn === undefined ? { kind: 'bytes', key: Buffer.from(text, 'hex') } : { kind: 'aws-kms', keyArn };
}

const isMasterKey = (text: string) => HEXADECIMAL_KEY.test(text) || KMS_KEY.test(text);
export const masterKey = z.string().refine(isMasterKey, `must be ${A_MASTER_KEY}`).transform(masterKeySource);

export const masterKeys = z
  .string()
  .transform(listed)
  .refine((keys) => keys.every(isMasterKey), `must be keys of ${A_MASTER_KEY}, with commas between`)
  .transform((keys) => keys.map(masterKeySource));

/** What is said of the master keys that production must not be run with. */
export function weakMasterKeys(environment: NodeJS.ProcessEnv): string[] {
  return ['ENCRYPTION_KEY', 'ENCRYPTION_KEYS_ACCEPTED'].flatMap((name) =>
    listed(environment[name] ?? '').flatMap((key) => {
      const weak = HEXADECIMAL_KEY.test(key) ? weakness(Buffer.from(key, 'hex')) : null;
      if (weak === null) return [];
      const what = name === 'ENCRYPTION_KEY' ? 'is' : 'has one that is';
      return [`${name} ${what} too weak for production (${weak}): make one with \`openssl rand -hex 32\``];
    }),
  );
}
