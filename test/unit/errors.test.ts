import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, ServiceError } from '../../src/errors.ts';
import { problemOf, problemSchema } from '../../src/http/problem.ts';
import { PROBLEMS } from '../../src/http/problem-catalogue.ts';

const DOCS_URL = 'https://docs.example/errors';
const problems = Object.entries(PROBLEMS);

const passesByItself = (code: string, status: number) =>
  [429, 503].includes(status) || code === 'idempotency_key_in_use';

describe('the catalogue of problems', () => {
  it('has exactly one entry for every error code', () => {
    expect(Object.keys(PROBLEMS).sort()).toEqual([...ERROR_CODES].sort());
    expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length);
  });

  it.each(ERROR_CODES)('names %s in snake case', (code) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  it('has only statuses of errors, and a title of its own for every code', () => {
    expect(problems.filter(([, { status }]) => !Number.isInteger(status) || status < 400 || status > 599)).toEqual([]);
    expect(new Set(problems.map(([, { title }]) => title)).size).toBe(problems.length);
  });

  it('tells when to come back with every 429 and 503, and with the one other that passes by itself', () => {
    for (const [code, { status, retryAfterSeconds }] of problems) {
      expect(retryAfterSeconds !== undefined, code).toBe(passesByItself(code, status));
    }
  });

  it('challenges only about credentials that were sent', () => {
    const challenged = problems.filter(([, { challenge }]) => challenge !== undefined);
    for (const [code, { status, challenge }] of challenged) {
      expect(status, code).toBe(challenge === 'insufficient_scope' ? 403 : 401);
    }
    expect(PROBLEMS.api_key_missing.challenge).toBeUndefined();
    expect(PROBLEMS.service_key_missing.challenge).toBeUndefined();
  });
});

describe('problemOf', () => {
  it.each(ERROR_CODES)('makes of %s a body that fits its schema, with the public part and nothing else', (code) => {
    const error = new ServiceError(code, 'What went wrong.', { context: { secret: 'canary' }, cause: 'canary' });
    const { status, headers, body } = problemOf(error, 'request-1', DOCS_URL);
    expect(problemSchema.strict().parse(body)).toEqual({
      type: `${DOCS_URL}#${code}`,
      title: PROBLEMS[code].title,
      status: PROBLEMS[code].status,
      detail: 'What went wrong.',
      error: 'What went wrong.',
      code,
      requestId: 'request-1',
    });
    expect(status).toBe(PROBLEMS[code].status);
    expect(JSON.stringify({ headers, body })).not.toContain('canary');
    // Other credentials would help, or more of what they may do: no 403 for another reason says so.
    const challenges = status === 401 || ['insufficient_scope', 'service_key_forbidden'].includes(code);
    expect('WWW-Authenticate' in headers).toBe(challenges);
    expect('Retry-After' in headers).toBe(passesByItself(code, status));
  });

  it.each([new Error('canary'), new TypeError('canary'), 'canary', { message: 'canary', status: 404 }, null])(
    'tells nothing of an unexpected error: %o',
    (error) => {
      const { status, body } = problemOf(error, 'request-1', DOCS_URL);
      expect({ status, code: body.code }).toEqual({ status: 500, code: 'internal_error' });
      expect(JSON.stringify(body)).not.toContain('canary');
    },
  );

  it('says when to come back where an error knows', () => {
    const error = new ServiceError('rate_limited', 'Not now.', { retryAfterSeconds: 42 });
    expect(problemOf(error, 'request-1', DOCS_URL).headers['Retry-After']).toBe('42');
  });

  it('lists the fields that are wrong', () => {
    const fields = [{ pointer: '/provider', detail: 'is required' }];
    const error = new ServiceError('invalid_request', 'provider is required.', { fields });
    expect(problemOf(error, 'request-1', DOCS_URL).body.errors).toEqual(fields);
  });
});

describe('docs/errors.md', () => {
  const file = new URL('../../docs/errors.md', import.meta.url);
  /** Each `## heading` with the lines below it that are not blank. */
  const sections = (existsSync(file) ? readFileSync(file, 'utf8') : '')
    .split(/^## /m)
    .slice(1)
    .map((section) =>
      section
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    )
    .map(([heading = '', subtitle = '', ...prose]) => ({ heading, subtitle, prose }));

  it.each(ERROR_CODES)('has one section for %s, with its status, its title and an explanation', (code) => {
    const { status, title } = PROBLEMS[code];
    const found = sections.filter(({ heading }) => heading === `\`${code}\`` || heading === code);
    expect(found).toHaveLength(1);
    expect(found[0]?.subtitle).toBe(`**${status}** · ${title}`);
    expect(found[0]?.prose.join(' ').length).toBeGreaterThan(20);
  });

  it('has no section that names a code which does not exist', () => {
    const codes: readonly string[] = ERROR_CODES;
    const named = sections.map(({ heading }) => heading.replaceAll('`', ''));
    const unknown = named.filter((heading) => /^[a-z]+(_[a-z]+)*$/.test(heading) && !codes.includes(heading));
    expect(unknown).toEqual([]);
  });
});
