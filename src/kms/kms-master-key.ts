import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import CircuitBreaker from 'opossum';
import { KEY_BYTES } from '../encryption/aes-gcm.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { DataKeyIdentity, MasterKey } from '../encryption/master-key.ts';
import { MasterKeyUnavailable } from '../encryption/master-key-unavailable.ts';

/** KMS takes no more (API reference, Decrypt: CiphertextBlob). */
const LONGEST_WRAPPED_BYTES = 6_144;
/** A question with its retry. Requests wait for less, and find the answer when they ask again. */
const CALL_LIMIT_MS = 3_000;
const ATTEMPT_LIMIT_MS = 1_400;
const CONNECT_LIMIT_MS = 1_000;
/** Half of at least five calls in five seconds failing opens the breaker; after two seconds one call tries again. */
const BREAKER = {
  errorThresholdPercentage: 50,
  volumeThreshold: 5,
  rollingCountTimeout: 5_000,
  resetTimeout: 2_000,
};
/** What asking again does not mend, until somebody changes the key or its policy. */
const REFUSALS = new Set([
  'AccessDeniedException',
  'DisabledException',
  'InvalidArnException',
  'InvalidKeyUsageException',
  'KMSInvalidStateException',
  'NotFoundException',
  'UnrecognizedClientException',
]);

/**
 * A master key that never leaves AWS KMS, which wraps and unwraps data keys with it. Its id is its ARN. What a data key is
 * for, and whose it is, go with it as the encryption context: KMS opens it for no other, and writes it into CloudTrail.
 *
 * Credentials and endpoint are the SDK's own business: AWS_ACCESS_KEY_ID, AWS_PROFILE, a role of the machine;
 * AWS_ENDPOINT_URL_KMS.
 */
export function kmsMasterKey(keyArn: string): MasterKey {
  const client = new KMSClient({
    region: regionOf(keyArn),
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: CONNECT_LIMIT_MS,
      requestTimeout: ATTEMPT_LIMIT_MS,
      throwOnRequestTimeout: true,
    },
  });
  const breaker = new CircuitBreaker((question: () => Promise<Uint8Array | undefined>) => question(), {
    ...BREAKER,
    timeout: CALL_LIMIT_MS,
    // Bytes that do not open are an answer.
    errorFilter: (error) => isAboutBytes(nameOf(error)),
  });
  const ask = async (question: () => Promise<Uint8Array | undefined>): Promise<Buffer> => {
    let answer: Uint8Array | undefined;
    try {
      answer = await breaker.fire(question);
    } catch (error) {
      throw translated(error);
    }
    if (answer === undefined) throw new MasterKeyUnavailable('an answer without bytes');
    return Buffer.from(answer);
  };
  const limit = () => ({ abortSignal: AbortSignal.timeout(CALL_LIMIT_MS) });

  return {
    id: keyArn,
    wrap(identity, dataKey) {
      const command = new EncryptCommand({
        KeyId: keyArn,
        Plaintext: dataKey,
        EncryptionContext: contextOf(identity),
      });
      return ask(async () => (await client.send(command, limit())).CiphertextBlob);
    },
    async unwrap(identity, wrapped) {
      if (wrapped.length === 0 || wrapped.length > LONGEST_WRAPPED_BYTES) throw new DecryptionError('malformed');
      const command = new DecryptCommand({
        // Without it KMS would take whichever key the bytes name.
        KeyId: keyArn,
        CiphertextBlob: wrapped,
        EncryptionContext: contextOf(identity),
      });
      const dataKey = await ask(async () => (await client.send(command, limit())).Plaintext);
      if (dataKey.length !== KEY_BYTES) throw new DecryptionError('malformed');
      return dataKey;
    },
  };
}

/** What KMS binds a data key to. No part of it is secret: CloudTrail shows it. */
function contextOf({ id, purpose, organizationId }: DataKeyIdentity): Record<string, string> {
  return {
    service: 'key-service',
    dataKeyId: id,
    purpose,
    // KMS takes no empty value.
    ...(organizationId === null ? {} : { organizationId }),
  };
}

/** `arn:aws:kms:eu-central-1:…`: the fourth part. */
function regionOf(keyArn: string): string {
  return keyArn.split(':')[3] ?? '';
}

function isAboutBytes(name: string): boolean {
  return name === 'InvalidCiphertextException' || name === 'IncorrectKeyException';
}

/** KMS's own names, and the system's; never a message, which names the key's account and the caller's role. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code) ? code : error.name;
}

function translated(error: unknown): Error {
  const name = nameOf(error);
  if (isAboutBytes(name)) return new DecryptionError(name === 'IncorrectKeyException' ? 'wrong_key' : 'not_authentic');
  const reason = /^\w{1,60}$/.test(name) ? name : 'unknown';
  return new MasterKeyUnavailable(reason, { isRefusal: REFUSALS.has(name) });
}
