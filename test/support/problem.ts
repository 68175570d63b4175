import { expect } from 'vitest';
import type { Answer } from './client.ts';

/** Expects what every error promises, whatever went wrong. */
export function expectProblem({ status, headers, body }: Answer, expectedStatus: number, code: string): void {
  expect({ status, code: body?.code }).toEqual({ status: expectedStatus, code });
  expect(body.status).toBe(expectedStatus);
  expect(body.type.endsWith(`#${code}`)).toBe(true);
  expect(body.title).toMatch(/\S/);
  expect(body.detail).toMatch(/\S.*\.$/);
  expect(body.error).toBe(body.detail);
  expect(body.requestId).toBe(headers.get('x-request-id'));
  expect(body.requestId).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('etag')).toBeNull();
  if (expectedStatus !== 400) expect(body).not.toHaveProperty('errors');
}

/** Expects a 400 that names these fields, in any order. */
export function expectInvalid(answer: Answer, ...pointers: string[]): void {
  expectProblem(answer, 400, 'invalid_request');
  const named = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer);
  expect(named.toSorted()).toEqual(pointers.toSorted());
  for (const { detail } of answer.body.errors) expect(detail).toMatch(/\S/);
}

/** An answer as it came, but for its date: two that are equal tell a caller nothing apart. Send one X-Request-Id. */
export function wholeAnswer({ status, headers, text }: Answer) {
  return { status, text, headers: [...headers].filter(([name]) => name !== 'date') };
}
