import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../src/errors.ts';
import { describeError } from '../../src/observability/describe-error.ts';

const CANARY = 'canary-not-a-real-secret';
/** An error whose stack was taken where these frames say. */
function errorAt(frames: string[], message = 'boom'): Error {
  const error = new Error(message);
  error.stack = [`Error: ${message}`, ...frames.map((frame) => `    at ${frame}`)].join('\n');
  return error;
}

describe('describeError', () => {
  it('gives the kind of an error and never its message', () => {
    const error = errorAt([], CANARY);
    expect(describeError(error)).toEqual({ type: 'Error' });
    expect(describeError(new TypeError(CANARY))).toMatchObject({ type: 'TypeError' });
  });

  it('gives nothing of any message, cause, name or property', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (before, after) => {
        const value = before + CANARY + after;
        const error = Object.assign(new Error(value, { cause: new Error(value) }), {
          name: value,
          code: value,
          detail: value,
          parameters: [value],
        });
        expect(inspect(describeError(error), { depth: null })).not.toContain(CANARY);
      }),
    );
  });

  it.each([CANARY, 42, null, undefined, { secret: CANARY }, Symbol(CANARY)])(
    'gives nothing of a thrown value that is no error: %o',
    (thrown) => {
      expect(describeError(thrown)).toEqual({ type: typeof thrown });
    },
  );

  it('gives the code and context of an error of our own', () => {
    const error = new ServiceError('database_unavailable', CANARY, { context: { sqlState: '57P01' } });
    expect(describeError(error)).toMatchObject({
      type: 'ServiceError',
      code: 'database_unavailable',
      context: { sqlState: '57P01' },
    });
    expect(describeError(new ServiceError('not_found', 'x'))).not.toHaveProperty('context');
  });

  it.each(['ECONNREFUSED', '57P01', 'ERR_HTTP2_ERROR', '23505'])('gives a code that is one of a system: %s', (code) => {
    expect(describeError(Object.assign(errorAt([]), { code }))).toEqual({ type: 'Error', code });
  });

  it.each(['sk-test', 'lower_case', 'AB', 'A'.repeat(41), 'ECONN REFUSED', 'ECONNREFUSED\n', 42, null])(
    'gives no code that might be anything else: %j',
    (code) => {
      expect(describeError(Object.assign(errorAt([]), { code }))).toEqual({ type: 'Error' });
    },
  );
});

describe('the origin of an error', () => {
  it.each([
    ['insertApiKey (file:///app/src/api-keys/api-key-store.ts:62:5)', 'api-keys.api-key-store#insertApiKey:62'],
    ['insertApiKey (file:///app/dist/api-keys/api-key-store.js:62:5)', 'api-keys.api-key-store#insertApiKey:62'],
    ['async ApiKeys.issue (/app/src/api-keys/api-keys.ts:7:1)', 'api-keys.api-keys#ApiKeys.issue:7'],
    ['new Metrics (/app/src/observability/metrics.ts:10:3)', 'observability.metrics#Metrics:10'],
    ['/app/src/main.ts:3:9', 'main#anonymous:3'],
    ['file:///app/dist/start.js:12:1', 'start#anonymous:12'],
    ['async file:///app/dist/start.js:12:1', 'start#anonymous:12'],
    ['Object.handle [as run] (/app/src/http/edge.ts:9:2)', 'http.edge#Object.handle:9'],
    ['issue (C:\\app\\src\\api-keys\\api-keys.ts:7:1)', 'api-keys.api-keys#issue:7'],
  ])('is read from the frame %s', (frame, origin) => {
    expect(describeError(errorAt([frame])).origin).toBe(origin);
  });

  it('is the innermost frame of ours, not one of a library or of Node', () => {
    const frames = [
      'Socket.emit (node:events:519:28)',
      'parse (/app/node_modules/library/src/parser.ts:1:1)',
      'async Promise.all (index 0)',
      'inner (/app/src/clerk/clerk.ts:4:1)',
      'outer (/app/src/http/edge.ts:9:2)',
    ];
    expect(describeError(errorAt(frames)).origin).toBe('clerk.clerk#inner:4');
  });

  it('is left out when no frame is ours, or there is no stack', () => {
    expect(describeError(errorAt(['Socket.emit (node:events:519:28)']))).not.toHaveProperty('origin');
    const error = new Error('boom');
    delete error.stack;
    expect(describeError(error)).toEqual({ type: 'Error' });
  });

  it('holds no path beyond the house', () => {
    const { origin } = describeError(errorAt(['f (/home/somebody/key-service/src/http/edge.ts:9:2)']));
    expect(origin).toBe('http.edge#f:9');
  });

  it('is never read from a message of several lines that looks like frames', () => {
    const message = `first line\n    at ${CANARY} (/app/src/${CANARY}.ts:1:1)\nlast line`;
    expect(describeError(errorAt(['f (/app/src/http/edge.ts:9:2)'], message)).origin).toBe('http.edge#f:9');
    expect(describeError(errorAt([], message))).toEqual({ type: 'Error' });
  });

  it('is never read from a message that was changed after the error was made', () => {
    const error = errorAt([], `first\n    at ${CANARY} (/app/src/${CANARY}.ts:1:1)`);
    error.message = 'x!';
    expect(JSON.stringify(describeError(error))).not.toContain(CANARY);
  });

  it('is found for an error without a message', () => {
    expect(describeError(errorAt(['f (/app/src/http/edge.ts:9:2)'], '')).origin).toBe('http.edge#f:9');
  });
});
