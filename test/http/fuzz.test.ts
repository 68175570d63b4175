import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, SERVICE_KEY } from '../support/client.ts';
import { startFurnishedService } from '../support/furnished-service.ts';
import { expectProblem } from '../support/problem.ts';
import { ROUTES } from '../support/routes.ts';
import type { TestService } from '../support/service.ts';

/** Of each property; a failure names the seed that finds it again. */
const RUNS = 75;

let service: TestService;
let org: string;
let key: string;
let id: string;
beforeAll(async () => {
  ({ service, org, key, id } = await startFurnishedService());
});
afterAll(() => service.stop());

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const FIELDS = [
  ...[
    'clerkOrgId',
    'provider',
    'apiKey',
    'name',
    'environment',
    'expiresAt',
    'scopes',
    'metadata',
    'limit',
    'enabled',
    'remainingUses',
    'refill',
    'gracePeriodSeconds',
    'key',
    'recoverable',
  ],
  ...['permissions', 'revealProviders'],
  ...['check', 'version', 'outcome', 'source'],
];
const QUERY_NAMES = ['clerkOrgId', 'limit', 'cursor', 'includeRevoked', 'scope', 'status', 'environment', 'name'];

const text = fc.string({ unit: 'binary', maxLength: 300 });
/** What a field holds when it is nearly right. */
const nearly = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  text,
  fc.constantFrom(null, '', ' ', '\u0000', '\ud800', 'live', 'read:orders', ['read'], {}, [], 0, -1, 1e308),
  fc.constantFrom('billing', ['provider-keys:reveal'], ['openai']),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.uuid(),
);
const nearlyBody = fc.record(
  Object.fromEntries(FIELDS.map((field) => [field, nearly])) as Record<string, typeof nearly>,
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc
    .tuple(nearlyBody, fc.boolean())
    .map(([fields, known]) => JSON.stringify(known ? { clerkOrgId: org, ...fields } : fields)),
  fc.json({ maxDepth: 5 }),
  fc.uint8Array({ maxLength: 200 }),
);
const query = fc
  .array(
    fc.tuple(
      fc.oneof(fc.constantFrom(...QUERY_NAMES), fc.webQueryParameters()),
      fc.oneof(
        fc.webQueryParameters(),
        text.map((value) => encodeURIComponent(value.toWellFormed())),
        fc.constantFrom('%', '%zz', '%00', '%ff', '%ed%a0%80'),
        fc
          .tuple(fc.date({ noInvalidDate: true }), fc.uuid())
          .map(([at, row]) => cursorOf(`${at.toISOString()}|${row}`)),
      ),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));
const cursorOf = (position: string) => Buffer.from(position).toString('base64url');
/** Whatever HTTP allows in a header. */
const headerValue = fc.string({
  unit: fc
    .oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff }))
    .map((c) => String.fromCharCode(c)),
  maxLength: 200,
});
const route = fc.constantFrom(...ROUTES);
const method = fc.constantFrom(...METHODS);
const segment = fc.oneof(
  fc.constantFrom('openai', '%', '%00', '%ff', '..', '.', '%2f', '-', ';', '*'),
  fc.webSegment(),
);

const credentials = (): Record<string, string> => ({ 'X-Service-Key': SERVICE_KEY, Authorization: `Bearer ${key}` });

/** What every answer promises, to no matter what. */
function expectAnAnswer(answer: Answer, sentMethod: string): void {
  expect(answer.status).toBeLessThan(500);
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  if (answer.status >= 400 && sentMethod !== 'HEAD') expectProblem(answer, answer.status, answer.body.code);
}

async function call(
  sentMethod: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string | Uint8Array | undefined } = {},
): Promise<void> {
  const hasBody = !['GET', 'HEAD'].includes(sentMethod) && body !== undefined && body.length > 0;
  const answer = await service.request(sentMethod, path, {
    headers: { ...credentials(), ...headers },
    ...(hasBody ? { body } : {}),
  });
  expectAnAnswer(answer, sentMethod);
}

describe('no endpoint ever answers 5xx, and every 4xx is a problem', () => {
  it('to any body', async () => {
    const writes = fc.constantFrom(
      ['POST', '/internal/api-keys'],
      ['POST', '/internal/service-keys'],
      ['DELETE', '/internal/api-keys/{id}'],
      ['POST', '/internal/api-keys/identify'],
      ['POST', '/internal/api-keys/import'],
      ['POST', '/internal/api-keys/session'],
      ['PATCH', '/internal/api-keys/{id}'],
      ['POST', '/internal/api-keys/{id}/rotate'],
      ...['/internal/keys', '/internal/platform-keys'].flatMap((path) => [
        ['POST', path],
        ...['rollback', 'check', 'report'].map((verb) => ['POST', `${path}/openai/${verb}`]),
      ]),
      ['PUT', '/internal/keys/openai/source'],
    );
    await fc.assert(
      fc.asyncProperty(writes, body, async ([verb, path], sent) => {
        await call(String(verb), String(path).replace('{id}', id), { body: sent });
      }),
      { numRuns: RUNS * 2 },
    );
  });

  it('to any query', async () => {
    await fc.assert(
      fc.asyncProperty(route, query, async ({ example, allow }, sent) => {
        for (const verb of allow.split(', ')) await call(verb, `${example}?clerkOrgId=${org}&${sent}`);
        await call('GET', `${example}?${sent}`);
      }),
      { numRuns: RUNS },
    );
  });

  it('to any method, path and header', async () => {
    const names = ['Authorization', 'X-Service-Key', 'X-API-Key', 'X-Request-Id', 'Content-Type', 'Accept', 'If-Match'];
    const anyHeader = fc.constantFrom(...names, 'Content-Encoding', 'X-Forwarded-For', 'If-None-Match', 'Range');
    await fc.assert(
      fc.asyncProperty(
        method,
        route,
        segment,
        fc.dictionary(anyHeader, headerValue, { maxKeys: 3 }),
        body,
        async (verb, { path }, part, headers, sent) => {
          await call(verb, path.replace(/\{\w+\}/, part), { headers, body: sent });
        },
      ),
      { numRuns: RUNS },
    );
  });
});
