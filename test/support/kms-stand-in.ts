import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Obviously nobody's account and nobody's keys. */
export const KMS_KEY = 'arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-4000-8000-000000000001';
export const OTHER_KMS_KEY = 'arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-4000-8000-000000000002';

type Context = Record<string, string>;

export interface KmsRequest {
  target: string;
  keyId: string;
  context: Context;
}

export interface KmsStandIn {
  /** What the SDK needs to be led here. */
  environment: NodeJS.ProcessEnv;
  /** How it behaves from now on. */
  behaviour: {
    /** Take requests and never answer them. */
    hang?: boolean;
    /** Answer with this error of KMS's. */
    error?: string;
    /** Break the connection. */
    down?: boolean;
  };
  requests: KmsRequest[];
  /** All that it was ever given to wrap: data keys in the clear. */
  plaintexts: Buffer[];
  close(): Promise<void>;
}

/**
 * AWS KMS on loopback, for the real SDK to talk to: Encrypt and Decrypt of its JSON protocol, with AES-256-GCM under keys that
 * nobody else has, and the encryption context as AAD.
 */
export async function startKmsStandIn(): Promise<KmsStandIn> {
  const keys = new Map([KMS_KEY, OTHER_KMS_KEY].map((arn) => [arn, randomBytes(32)]));
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { hang, error, down } = standIn.behaviour;
    if (down) return request.socket.destroy();
    if (hang) return;
    const target = String(request.headers['x-amz-target']);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    standIn.requests.push({ target, keyId: body.KeyId, context: body.EncryptionContext });
    if (error !== undefined) return fail(response, error);
    const key = keys.get(body.KeyId);
    if (key === undefined) return fail(response, 'NotFoundException');
    if (target === 'TrentService.Encrypt') {
      const plaintext = Buffer.from(body.Plaintext, 'base64');
      standIn.plaintexts.push(plaintext);
      const blob = encrypt(body.KeyId, key, plaintext, body.EncryptionContext);
      return answer(response, 200, { CiphertextBlob: blob.toString('base64'), KeyId: body.KeyId });
    }
    if (target !== 'TrentService.Decrypt') return fail(response, 'UnknownOperationException');
    const opened = decrypt(body.KeyId, key, Buffer.from(body.CiphertextBlob, 'base64'), body.EncryptionContext);
    if (typeof opened === 'string') return fail(response, opened);
    answer(response, 200, { Plaintext: opened.toString('base64'), KeyId: body.KeyId });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const standIn: KmsStandIn = {
    environment: {
      AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: 'not-a-real-access-key',
      AWS_SECRET_ACCESS_KEY: 'not-a-real-secret-access-key',
    },
    behaviour: {},
    requests: [],
    plaintexts: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}

const aadOf = (context: Context = {}) => Buffer.from(JSON.stringify(Object.entries(context).toSorted()));

/** As KMS does, the bytes name the key that they are of: length of the name, name, IV, tag, ciphertext. */
function encrypt(arn: string, key: Buffer, plaintext: Buffer, context: Context): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(aadOf(context));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.of(arn.length), Buffer.from(arn), iv, cipher.getAuthTag(), ciphertext]);
}

/** The plaintext, or the name of KMS's error. */
function decrypt(arn: string, key: Buffer, blob: Buffer, context: Context): Buffer | string {
  const nameEnd = 1 + (blob[0] ?? 0);
  const name = blob.subarray(1, nameEnd).toString();
  if (!name.startsWith('arn:aws:kms:') || blob.length < nameEnd + 28) return 'InvalidCiphertextException';
  if (name !== arn) return 'IncorrectKeyException';
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(nameEnd, nameEnd + 12), { authTagLength: 16 });
  decipher.setAAD(aadOf(context));
  decipher.setAuthTag(blob.subarray(nameEnd + 12, nameEnd + 28));
  try {
    return Buffer.concat([decipher.update(blob.subarray(nameEnd + 28)), decipher.final()]);
  } catch {
    return 'InvalidCiphertextException';
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, error: string): void {
  answer(response, error === 'KMSInternalException' ? 500 : 400, { __type: error, message: `scripted ${error}` });
}
