import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../../src/caller.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { expectProblem } from '../support/problem.ts';
import { OPERATIONS } from '../support/routes.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

interface Operation {
  operationId: string;
  security: Record<string, unknown>[];
  responses: Record<string, { content: Record<string, unknown>; description: string }>;
  description?: string;
  'x-permission'?: string;
  'x-scope'?: string;
}
type Paths = Record<string, Record<string, Operation>>;
const pathsOf = async () => (await service.request('GET', '/openapi.json')).body.paths as Paths;

describe('GET /openapi.json', () => {
  it('200: is a valid OpenAPI 3.1 document', async () => {
    const { status, body } = await service.request('GET', '/openapi.json');
    expect(status).toBe(200);
    const validator = new Validator();
    expect(await validator.validate(body)).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('200: describes every operation that the service answers, and no other', async () => {
    const described = Object.entries(await pathsOf()).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.toSorted()).toEqual(OPERATIONS.map(({ method, path }) => `${method} ${path}`).toSorted());
  });

  it('200: gives every operation a name of its own', async () => {
    const names = Object.values(await pathsOf()).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    for (const name of names) expect(name).toMatch(/^[a-z][A-Za-z]+$/);
    expect(new Set(names).size).toBe(names.length);
  });

  it('200: says who may call what, and which refusals to expect', async () => {
    const paths = await pathsOf();
    const schemes = {
      anyone: [],
      holder: [{ apiKey: [] }],
      service: [{ serviceKey: [] }],
      clerk: [{ webhookSignature: [] }],
    };
    const refusals = { anyone: null, holder: '401', service: '401', clerk: '400' };
    for (const { path, method, caller } of OPERATIONS) {
      const operation = paths[path]?.[method.toLowerCase()];
      expect(operation?.security, path).toEqual(schemes[caller]);
      const status = refusals[caller];
      if (status !== '401') expect(operation?.responses['401'], path).toBeUndefined();
      if (status === null) continue;
      const refusal = operation?.responses[status];
      expect(Object.keys(refusal?.content ?? {}), path).toEqual(['application/problem+json']);
    }
  });

  it('200: says of every operation what a key has to allow, to people and to programs', async () => {
    const paths = await pathsOf();
    for (const { path, method, caller } of OPERATIONS) {
      const operation = paths[path]?.[method.toLowerCase()];
      const permission = operation?.['x-permission'];
      if (caller !== 'service') {
        expect(permission, path).toBeUndefined();
        continue;
      }
      expect([...PERMISSIONS, 'root'], `${method} ${path}`).toContain(permission);
      expect(operation?.description, path).toContain(
        permission === 'root' ? 'For the root caller alone.' : `Needs the permission \`${permission}\`.`,
      );
      expect(operation?.responses['403']?.description, path).toContain('`service_key_forbidden`');
    }
    const reveal = paths['/validate/keys/{provider}']?.['get'];
    expect(reveal?.['x-scope']).toBe('provider-keys:reveal');
    expect(reveal?.responses['403']?.description).toContain('`insufficient_scope`');
    expect(paths['/validate']?.['get']).not.toHaveProperty('x-scope');
  });

  it('200: says where an organisation that has ended is refused', async () => {
    const paths = await pathsOf();
    const refused = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { responses }]) => responses['409']?.description.includes('`organization_deleted`'))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    expect(refused.toSorted()).toEqual([
      'PATCH /internal/api-keys/{id}',
      'POST /internal/api-keys',
      'POST /internal/api-keys/import',
      'POST /internal/api-keys/session',
      'POST /internal/api-keys/{id}/rotate',
      'POST /internal/keys',
      'POST /internal/keys/{provider}/check',
      'POST /internal/keys/{provider}/report',
      'POST /internal/keys/{provider}/rollback',
      'POST /internal/organizations/{clerkOrgId}/freeze-reveals',
      'POST /internal/organizations/{clerkOrgId}/resume',
      'POST /internal/organizations/{clerkOrgId}/suspend',
      'POST /internal/organizations/{clerkOrgId}/unfreeze-reveals',
      'PUT /internal/keys/{provider}/source',
      'PUT /internal/organizations/{clerkOrgId}/rate-limit',
    ]);
  });

  it('200: names every parameter of a path', async () => {
    const { body } = await service.request('GET', '/openapi.json');
    for (const [path, methods] of Object.entries<Record<string, { parameters?: { in: string; name: string }[] }>>(
      body.paths,
    )) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters = [] } of Object.values(methods)) {
        expect(parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual(inPath);
      }
    }
  });

  it('200: knows the closed set of error codes', async () => {
    const { body } = await service.request('GET', '/openapi.json');
    expect(body.components.schemas.Problem.properties.code.enum).toEqual([...ERROR_CODES]);
  });

  it('200: may be kept by anyone, and asks nobody who they are', async () => {
    const { status, headers } = await service.request('GET', '/openapi.json', {
      headers: { Authorization: 'Basic x' },
    });
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toMatch(/^public, max-age=\d+$/);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('GET /docs', () => {
  /** The page as a browser gets it, after at most one redirect, and where it is. */
  async function page(): Promise<{ url: URL; html: string }> {
    const response = await fetch(`${service.url}/docs`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(response.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/);
    return { url: new URL(response.url), html: await response.text() };
  }

  it('200: serves a page whose every part comes from the service itself, so that it works with no internet', async () => {
    const { url, html } = await page();
    const parts = [...html.matchAll(/<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="([^"]+)"/g)].map(
      ([, part]) => new URL(String(part), url),
    );
    expect(parts.length).toBeGreaterThanOrEqual(4);
    for (const part of parts) {
      expect(part.origin, part.href).toBe(service.url);
      const response = await fetch(part);
      expect(response.status, part.href).toBe(200);
      expect(response.headers.get('content-type'), part.href).not.toMatch(/html/);
      expect(response.headers.get('cache-control'), part.href).toMatch(/^public, max-age=\d+$/);
      expect(response.headers.get('x-powered-by'), part.href).toBeNull();
      await response.arrayBuffer();
    }
  });

  it('200: shows the document of this service', async () => {
    const { url } = await page();
    const script = await (await fetch(new URL('./swagger-ui-init.js', url))).text();
    expect(script).toContain('/openapi.json');
    expect(script).not.toMatch(/https?:\/\//);
  });

  it('200: holds no script that its content security policy would stop', async () => {
    const { html } = await page();
    const inline = [...html.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g)].filter(
      ([, attributes, code]) => !attributes?.includes('src=') && code?.trim() !== '',
    );
    expect(inline).toEqual([]);
  });

  it.each(['nothing-here', 'nothing.js', 'package.json', '..%2fpackage.json', '%00', 'a/b/c'])(
    '404: has nothing at /docs/%s',
    async (path) => {
      expectProblem(await service.request('GET', `/docs/${path}`), 404, 'not_found');
    },
  );

  it.each<[what: string, headers: Record<string, string>]>([
    ['a range that is not there', { Range: 'bytes=99999999-' }],
    ['a condition that does not hold', { 'If-Match': '"another"' }],
    ['a date long ago', { 'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT' }],
  ])('answers %s with no error of its own', async (_what, headers) => {
    const { status } = await service.request('GET', '/docs/swagger-ui.css', { headers });
    expect([200, 412, 416]).toContain(status);
  });
});

describe('DOCS_ENABLED=false', () => {
  it.each(['/openapi.json', '/docs', '/docs/', '/docs/swagger-ui.css'])('404: there is nothing at %s', async (path) => {
    const silent = await startService({ environment: { DOCS_ENABLED: 'false' } });
    try {
      expectProblem(await silent.request('GET', path), 404, 'not_found');
    } finally {
      await silent.stop();
    }
  });
});
