import type { Request, Response } from 'express';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { inputReader } from '../../src/http/request-input.ts';

const query = z.object({ scope: z.array(z.string()).default([]), limit: z.coerce.number().optional() });
const response = {} as Response;
const requestWith = (parameters: Record<string, string>) =>
  ({ query: parameters, params: {}, headers: {}, rawHeaders: [] }) as unknown as Request;

describe('The input of a request without parameters', () => {
  const read = inputReader({ query });

  it('is what the schema makes of none', () => {
    expect(read(requestWith({}), response)).toEqual({ query: { scope: [] } });
  });

  it('is the same when only unknown ones were sent', () => {
    expect(read(requestWith({ other: 'x' }), response)).toEqual({ query: { scope: [] } });
  });

  it('can be changed by nobody, for the next request has it too', () => {
    const input = read(requestWith({}), response) as { query: { scope: string[] } };
    expect(() => input.query.scope.push('read:orders')).toThrow(TypeError);
    expect(() => Object.assign(input.query, { limit: 1 })).toThrow(TypeError);
    expect(() => Object.assign(input, { query: {} })).toThrow(TypeError);
  });

  it('does not stand in for that of a request with parameters', () => {
    expect(read(requestWith({ limit: '5' }), response)).toEqual({ query: { scope: [], limit: 5 } });
  });

  it('is refused where the schema requires one', () => {
    const required = inputReader({ query: z.object({ clerkOrgId: z.string() }) });
    expect(() => required(requestWith({}), response)).toThrow('clerkOrgId is required.');
  });
});
