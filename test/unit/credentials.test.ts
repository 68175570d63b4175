import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Request } from 'express';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bearerToken, credentialsOf, timesSent } from '../../src/http/credentials.ts';

/** A request as Node's parser makes it of these header lines. */
function requestWith(...lines: [name: string, value: string][]): Request {
  const request = new IncomingMessage(new Socket());
  request.rawHeaders = lines.flat();
  for (const [name, value] of lines) request.headers[name.toLowerCase()] ??= value;
  return request as Request;
}

describe('bearerToken', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('knows the scheme written as %s', (scheme) => {
    expect(bearerToken(`${scheme} fake-token`)).toBe('fake-token');
  });

  it('trims white space around the token', () => {
    expect(bearerToken('Bearer  \t fake-token \t ')).toBe('fake-token');
  });

  it.each([
    '',
    'Bearer',
    'Bearer ',
    'Bearer \t',
    'Basic ZmFrZQ==',
    'Token fake',
    'Bearerfake',
    'fake',
    'X Bearer fake',
  ])('finds no token in %j', (authorization) => {
    expect(bearerToken(authorization)).toBeUndefined();
  });

  it('gives back any token that has no white space, as it is', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{1,200}$/), (token) => {
        expect(bearerToken(`Bearer ${token}`)).toBe(token);
      }),
    );
  });

  it('takes no longer for a header full of white space', () => {
    const started = performance.now();
    bearerToken(`Bearer ${' '.repeat(16_000)}x y`);
    bearerToken(' '.repeat(16_000));
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('credentialsOf', () => {
  it('gives a header that was sent once, trimmed', () => {
    const { header } = credentialsOf(requestWith(['X-Service-Key', '  fake \t']), 'id', false);
    expect(header('x-service-key')).toBe('fake');
    expect(header('x-api-key')).toBeUndefined();
  });

  it('gives null for a header that was sent more than once, whatever the case and even with one value', () => {
    const { header } = credentialsOf(requestWith(['Authorization', 'a'], ['authorization', 'a']), 'id', false);
    expect(header('authorization')).toBeNull();
  });

  it('carries the request id, and no address where there is none', () => {
    const { origin } = credentialsOf(requestWith(), 'request-1', false);
    expect(origin).toEqual({ requestId: 'request-1', address: null, addressIsClients: false });
  });
});

describe('timesSent', () => {
  it('counts names and not values', () => {
    const request = requestWith(['x-api-key', 'authorization'], ['Authorization', 'x'], ['X-Other', 'authorization']);
    expect(timesSent(request, 'authorization')).toBe(1);
    expect(timesSent(request, 'if-match')).toBe(0);
  });
});
