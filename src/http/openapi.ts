import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { ROOT } from '../caller.ts';
import type { ErrorCode } from '../errors.ts';
import { packageVersion } from '../package-version.ts';
import type { Endpoint } from './endpoint.ts';
import { IDEMPOTENCY_ERRORS } from './idempotency.ts';
import { REPLAYED } from './idempotency-key.ts';
import { problemSchema } from './problem.ts';
import { PROBLEMS } from './problem-catalogue.ts';

const DESCRIPTION = `Issues, validates and revokes API keys, and keeps customers' own provider keys sealed.

Every error is \`application/problem+json\` (RFC 9457); decide on its \`code\`. Every answer carries \`X-Request-Id\`.`;

/** What any endpoint may answer, whatever it does. */
const ALWAYS: readonly ErrorCode[] = ['internal_error', 'headers_too_large', 'request_timeout'];

/** Makes the OpenAPI 3.1 document from the same schemas that read requests and check answers. */
export function openApiDocument(endpoints: readonly Endpoint[]): object {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key that this service issued.',
  });
  registry.registerComponent('securitySchemes', 'serviceKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-Service-Key',
    description:
      "The key of one of the platform's own services. Also accepted in `X-API-Key` or `Authorization: Bearer`. " +
      '`x-permission` names what each operation needs of it.',
  });
  registry.registerComponent('securitySchemes', 'webhookSignature', {
    type: 'apiKey',
    in: 'header',
    name: 'svix-signature',
    description: 'A signature of id, timestamp and body (Standard Webhooks), beside `svix-id` and `svix-timestamp`.',
  });
  const problem = problemSchema.meta({ id: 'Problem' });
  for (const endpoint of endpoints) registry.registerPath(pathOf(endpoint, problem));
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: { title: 'Key Service', version: packageVersion, description: DESCRIPTION },
    servers: [{ url: '/' }],
  });
}

function pathOf(endpoint: Endpoint, problem: z.ZodType): RouteConfig {
  const { method, path, tag, summary, authentication, request } = endpoint;
  return {
    method,
    path: path.replaceAll(/:(\w+)/g, '{$1}'),
    operationId: `${method}${path.replaceAll(/[:/-]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tag],
    summary,
    ...descriptionOf(endpoint),
    ...needsOf(authentication),
    security: authentication.security === null ? [] : [{ [authentication.security]: [] }],
    request: {
      ...(request.params === undefined ? {} : { params: request.params }),
      ...(request.query === undefined ? {} : { query: request.query }),
      ...headersOf(endpoint),
      ...bodyOf(request),
    },
    responses: { ...answersOf(endpoint), ...problemsOf(endpoint, problem) },
  };
}

function descriptionOf({ description, authentication }: Endpoint): { description?: string } {
  const sentences = [description, requirement(authentication)].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? {} : { description: sentences.join('\n\n') };
}

type Requirement = Pick<Endpoint['authentication'], 'security' | 'needs'>;

/** For people … */
function requirement({ security, needs }: Requirement): string | undefined {
  if (needs === null) return undefined;
  if (security === 'apiKey') return `Needs the scope \`${needs}\`, or an API key that is unrestricted.`;
  return needs === ROOT ? 'For the root caller alone.' : `Needs the permission \`${needs}\`.`;
}

/** … and for programs. */
function needsOf({ security, needs }: Requirement): Record<`x-${string}`, string> {
  if (needs === null) return {};
  return security === 'apiKey' ? { 'x-scope': needs } : { 'x-permission': needs };
}

function headersOf({ request: { headers }, authentication }: Endpoint): { headers?: z.ZodObject } {
  if (headers === undefined && authentication.headers === undefined) return {};
  return { headers: z.object({ ...authentication.headers?.shape, ...headers?.shape }) };
}

function bodyOf({ body, rawBody }: Endpoint['request']): Pick<NonNullable<RouteConfig['request']>, 'body'> {
  const schema = body ?? rawBody;
  if (schema === undefined) return {};
  const required = !schema.safeParse(undefined).success;
  return { body: { required, content: { 'application/json': { schema } } } };
}

const ETAG = { ETag: 'The revision, quoted.' };
const WHETHER_REPLAYED = { [REPLAYED]: '`true`: this was answered before, to the same Idempotency-Key.' };

function answersOf({ responses, authentication, idempotent = false }: Endpoint): RouteConfig['responses'] {
  return Object.fromEntries(
    Object.entries(responses).map(([status, { description, schema, etag }]) => {
      const sometimes = { ...authentication.answerHeaders, ...(idempotent ? WHETHER_REPLAYED : {}) };
      const headers = etag ? { ...sometimes, ...ETAG } : sometimes;
      return [status, { description, content: { 'application/json': { schema } }, ...answerHeadersOf(headers, etag) }];
    }),
  );
}

/** @param always whether they are in every such answer */
function answerHeadersOf(descriptions: Readonly<Record<string, string>>, always = false) {
  const headers = Object.entries(descriptions).map(([name, description]) => {
    const header = z.string().meta({ description });
    return [name, always ? header : header.optional()];
  });
  return headers.length === 0 ? {} : { headers: z.object(Object.fromEntries(headers)) };
}

/** One entry per status, which names the codes that it may carry. */
function problemsOf(endpoint: Endpoint, problem: z.ZodType): RouteConfig['responses'] {
  const codes = [
    ...new Set([...implied(endpoint), ...endpoint.authentication.errors, ...(endpoint.errors ?? []), ...ALWAYS]),
  ];
  const byStatus = groupByStatus(codes);
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('  \n'),
        content: { 'application/problem+json': { schema: problem } },
        ...(list.includes('rate_limited') ? answerHeadersOf(endpoint.authentication.answerHeaders ?? {}) : {}),
      },
    ]),
  );
}

function groupByStatus(codes: readonly ErrorCode[]): Map<number, ErrorCode[]> {
  const groups = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    groups.set(status, [...(groups.get(status) ?? []), code]);
  }
  return groups;
}

/** What reading the request may answer. */
function implied({ request, authentication, idempotent, showsKey }: Endpoint): ErrorCode[] {
  const codes: ErrorCode[] = [];
  if (request.params || request.query || request.headers || request.body) codes.push('invalid_request');
  if (request.body) codes.push('malformed_json');
  if (request.body || request.rawBody) codes.push('payload_too_large', 'unsupported_media_type');
  if (idempotent) codes.push(...IDEMPOTENCY_ERRORS);
  if (idempotent && showsKey) codes.push('reveals_frozen');
  if (authentication.security !== null) codes.push('database_unavailable', 'overloaded');
  return codes;
}
