import type { OPERATIONS } from './routes.ts';

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
  clerkOrgId: string;
}

type Body = (clerkOrgId: string, secret: string) => Record<string, unknown>;

const named: Body = (clerkOrgId) => ({ clerkOrgId });
const reported: Body = (clerkOrgId) => ({ clerkOrgId, version: 1, outcome: 'rejected' });
/** What each operation with a body is sent when all is well; a secret stands where one belongs. */
const BODIES: Record<string, Body> = {
  'POST /internal/api-keys': named,
  'POST /internal/keys': (clerkOrgId, secret) => ({ clerkOrgId, provider: 'openai', apiKey: secret }),
  'POST /internal/service-keys': () => ({ name: 'canary', permissions: ['provider-keys:reveal'] }),
  'POST /internal/keys/{provider}/report': reported,
};

/** Every operation, asked as it should be, and with a secret in every place of a request where none belongs. */
export function requestsOf(operation: (typeof OPERATIONS)[number], callers: Callers, secret: string) {
  const { method, path, example, caller } = operation;
  const { clerkOrgId } = callers;
  const bodyOf = BODIES[`${method} ${path}`];
  const takesBody = method !== 'GET' && method !== 'DELETE';
  if (takesBody && bodyOf === undefined) throw new Error(`Say in BODIES what ${method} ${path} is sent`);
  const body = bodyOf?.(clerkOrgId, secret);
  const headers = {
    ...credentials(caller, callers),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
  };
  const query = !takesBody && caller === 'service' ? `?clerkOrgId=${clerkOrgId}` : '';
  const text = body && JSON.stringify(body);
  const valid: CanaryRequest = {
    method,
    path: example + query,
    headers,
    ...(text === undefined ? {} : { body: text }),
  };
  const wrongCaller = { Authorization: `Bearer ${secret}`, 'X-Service-Key': secret };
  const invalid: CanaryRequest[] = [
    { ...valid, headers: { ...headers, ...wrongCaller } },
    {
      ...valid,
      path: `${valid.path}${query === '' ? '?' : '&'}token=${secret}&clerkOrgId=${secret}%20&limit=${secret}`,
    },
    { ...valid, headers: { ...headers, Cookie: `session=${secret}`, 'X-Request-Id': `${secret} ${secret}` } },
    ...placesInPath(path).map((place) => ({ ...valid, path: place.replace('{}', `${secret}_`) + query })),
    ...(body === undefined ? [] : bodiesWith(body, secret).map((wrong) => ({ ...valid, body: wrong }))),
  ];
  return { valid, invalid };
}

function credentials(caller: string, { serviceKey, apiKey }: Callers): Record<string, string> {
  if (caller === 'holder') return { Authorization: `Bearer ${apiKey}` };
  return caller === 'service' ? { 'X-Service-Key': serviceKey } : {};
}

/** Each of the path's parameters in turn is {}, the others are what they may be. */
function placesInPath(path: string): string[] {
  return path.includes('{') ? [path.replace(/\{\w+\}/, '{}').replaceAll(/\{\w+\}/g, 'openai')] : [];
}

function bodiesWith(body: Record<string, unknown>, secret: string): string[] {
  const wrong = Object.keys(body).map((name) => ({ ...body, [name]: { [secret]: secret } }));
  const unknown = { ...body, [secret]: secret };
  return [...[...wrong, unknown].map((one) => JSON.stringify(one)), `{"apiKey":"${secret}`, secret];
}
