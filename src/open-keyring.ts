import type { EncryptionSecrets, MasterKeySource } from './config/config.ts';
import { Keyring } from './encryption/keyring.ts';
import { type MasterKey, masterKeyFromBytes } from './encryption/master-key.ts';

/** The master keys that were configured, wherever each is. Nothing is asked of the outside yet. */
export async function openKeyring({ encryptionKey, encryptionKeysAccepted }: EncryptionSecrets): Promise<Keyring> {
  return new Keyring(await openMasterKey(encryptionKey), await Promise.all(encryptionKeysAccepted.map(openMasterKey)));
}

async function openMasterKey(source: MasterKeySource): Promise<MasterKey> {
  if (source.kind === 'bytes') return masterKeyFromBytes(source.key);
  // The SDK takes a while to load, which nobody without a key in KMS waits for.
  const { kmsMasterKey } = await import('./kms/kms-master-key.ts');
  return kmsMasterKey(source.keyArn);
}
