import { createHash, randomUUID } from 'node:crypto';
import type { OPERATIONS } from './routes.ts';
import { signedHeaders } from './webhooks.ts';

export interface CanaryRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
}

export interface Callers {
  /** Of the root caller. */
  serviceKey: string;
  apiKey: string;
  /** Is revoked by its holder. */
  leakedKey: string;
  /** What Clerk signs with: `whsec_` and base64. */
  signingSecret: string;
  clerkOrgId: string;
}

type Body = (clerkOrgId: string, secret: string) => Record<string, unknown>;

const named: Body = (clerkOrgId) => ({ clerkOrgId });
const reported: Body = (clerkOrgId) => ({ clerkOrgId, version: 1, outcome: 'rejected' });
const event: Body = (clerkOrgId, secret) => ({
  type: 'organizationMembership.updated',
  data: { organization: { id: clerkOrgId }, public_user_data: { identifier: secret } },
});
/** What each operation with a body is sent when all is well; a secret stands where one belongs. */
const BODIES: Record<string, Body> = {
  'POST /internal/api-keys': (clerkOrgId) => ({ clerkOrgId, recoverable: true }),
  'POST /internal/api-keys/session': named,
  'POST /internal/api-keys/import': (clerkOrgId, secret) => ({
    keys: [{ clerkOrgId, sha256: createHash('sha256').update(secret).digest('hex'), name: 'canary' }],
  }),
  'PATCH /internal/api-keys/{id}': (clerkOrgId) => ({ clerkOrgId, name: 'canary', enabled: true }),
  'POST /internal/api-keys/{id}/rotate': (clerkOrgId) => ({ clerkOrgId, gracePeriodSeconds: 1 }),
  'POST /internal/api-keys/validate': (_org, secret) => ({ keys: [secret, `ks_live_${secret}`] }),
  'POST /validate/self/revoke': () => ({}),
  'POST /internal/api-keys/identify': (_org, secret) => ({ key: secret }),
  'POST /internal/organizations/{clerkOrgId}/revoke-api-keys': () => ({}),
  'PUT /internal/organizations/{clerkOrgId}/rate-limit': () => ({ rateLimit: { limit: 1_000_000, windowSeconds: 60 } }),
  'POST /internal/organizations/{clerkOrgId}/suspend': () => ({}),
  'POST /internal/organizations/{clerkOrgId}/resume': () => ({}),
  'POST /internal/organizations/{clerkOrgId}/freeze-reveals': () => ({}),
  'POST /internal/organizations/{clerkOrgId}/unfreeze-reveals': () => ({}),
  'POST /internal/freeze-reveals': () => ({}),
  'POST /internal/unfreeze-reveals': () => ({}),
  'POST /internal/keys': (clerkOrgId, secret) => ({ clerkOrgId, provider: 'openai', apiKey: secret, check: true }),
  'POST /internal/service-keys': () => ({ name: 'canary', permissions: ['provider-keys:reveal'] }),
  'POST /internal/keys/{provider}/rollback': (clerkOrgId) => ({ clerkOrgId, version: 1 }),
  'POST /internal/keys/{provider}/check': named,
  'POST /internal/keys/{provider}/report': reported,
  'PUT /internal/keys/{provider}/source': (clerkOrgId) => ({ clerkOrgId, source: 'own-then-platform' }),
  'POST /internal/platform-keys': (_org, secret) => ({ provider: 'openai', apiKey: secret, check: true }),
  'POST /internal/platform-keys/{provider}/rollback': () => ({ version: 1 }),
  'POST /internal/platform-keys/{provider}/check': () => ({}),
  'POST /internal/platform-keys/{provider}/report': () => ({ version: 1, outcome: 'rejected' }),
  'POST /internal/leak-reports': (_org, secret) => ({
    strings: [secret, `found: ${secret}`],
    source: 'canary',
    url: `https://gist.example/${encodeURIComponent(secret)}`,
  }),
  'POST /webhooks/clerk': event,
};

/** Every operation, asked as it should be, and with a secret in every place of a request where none belongs. */
export function requestsOf(operation: (typeof OPERATIONS)[number], all: Callers, secret: string) {
  const { method, path, example, caller } = operation;
  const callers = path === '/validate/self/revoke' ? { ...all, apiKey: all.leakedKey } : all;
  const { clerkOrgId } = callers;
  const bodyOf = BODIES[`${method} ${path}`];
  const takesBody = method !== 'GET' && method !== 'DELETE';
  if (takesBody && bodyOf === undefined) throw new Error(`Say in BODIES what ${method} ${path} is sent`);
  const body = bodyOf?.(clerkOrgId, secret);
  const text = body && JSON.stringify(body);
  const headers = {
    ...credentials(caller, callers, text),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    // What is answered with a key is kept.
    ...(method === 'POST' ? { 'Idempotency-Key': randomUUID() } : {}),
  };
  const query = !takesBody && caller === 'service' ? `?clerkOrgId=${clerkOrgId}` : '';
  const valid: CanaryRequest = {
    method,
    path: example + query,
    headers,
    ...(text === undefined ? {} : { body: text }),
  };
  const wrongCaller = { Authorization: `Bearer ${secret}`, 'X-Service-Key': secret, 'svix-signature': `v1,${secret}` };
  const invalid: CanaryRequest[] = [
    { ...valid, headers: { ...headers, ...wrongCaller } },
    {
      ...valid,
      path: `${valid.path}${query === '' ? '?' : '&'}token=${secret}&clerkOrgId=${secret}%20&limit=${secret}`,
    },
    { ...valid, headers: { ...headers, 'Idempotency-Key': secret } },
    { ...valid, headers: { ...headers, Cookie: `session=${secret}`, 'X-Request-Id': `${secret} ${secret}` } },
    ...placesInPath(path).map((place) => ({ ...valid, path: place.replace('{}', `${secret}_`) + query })),
    ...(body === undefined ? [] : bodiesWith(body, secret)).map((wrong) => ({
      ...valid,
      headers: { ...headers, ...credentials(caller, callers, wrong) },
      body: wrong,
    })),
  ];
  return { valid, invalid };
}

function credentials(
  caller: string,
  { serviceKey, apiKey, signingSecret }: Callers,
  body = '',
): Record<string, string> {
  if (caller === 'clerk') return signedHeaders(body, { key: Buffer.from(signingSecret.slice(6), 'base64') });
  if (caller === 'holder') return { Authorization: `Bearer ${apiKey}` };
  return caller === 'service' ? { 'X-Service-Key': serviceKey } : {};
}

/** Each of the path's parameters in turn is {}, the others are what they may be. */
function placesInPath(path: string): string[] {
  // What is no secret but names an organisation is stored, and shown.
  if (path.includes('{clerkOrgId}')) return [path.replace('{clerkOrgId}', '{}%20')];
  return path.includes('{') ? [path.replace(/\{\w+\}/, '{}').replaceAll(/\{\w+\}/g, 'openai')] : [];
}

function bodiesWith(body: Record<string, unknown>, secret: string): string[] {
  const wrong = Object.keys(body).map((name) => ({ ...body, [name]: { [secret]: secret } }));
  const unknown = { ...body, [secret]: secret };
  return [...[...wrong, unknown].map((one) => JSON.stringify(one)), `{"apiKey":"${secret}`, secret];
}
