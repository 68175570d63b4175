import { describe, expect, it } from 'vitest';
import { isBodyNeeded, meaningOf } from '../../../src/providers/answers.ts';
import type { ProviderCheck } from '../../../src/providers/provider.ts';

const check = (answers: Pick<ProviderCheck, 'valid' | 'rejected'>): ProviderCheck => ({
  method: 'GET',
  baseUrl: 'https://provider.example',
  path: '/',
  keyHeader: { name: 'X-Key', value: '{key}' },
  ...answers,
});

const byStatus = check({ valid: [{ status: 200 }], rejected: [{ status: 401 }] });
const byBody = check({
  valid: [{ status: 200, body: { '/ok': true } }],
  rejected: [{ status: 200, body: { '/ok': false, '/errors/0/code': { startsWith: 'invalid_' } } }],
});
const refusal = (code: unknown) => ({ status: 200, json: { ok: false, errors: [{ code }] } });

describe('the meaning of an answer', () => {
  it('is its status, where that is all that is named', () => {
    expect(meaningOf(byStatus, { status: 200, json: undefined })).toBe('valid');
    expect(meaningOf(byStatus, { status: 401, json: undefined })).toBe('rejected');
    for (const status of [201, 204, 301, 302, 307, 400, 402, 403, 404, 407, 408, 409, 418, 422, 429, 500, 502, 503]) {
      expect(meaningOf(byStatus, { status, json: undefined }), String(status)).toBeNull();
    }
  });

  it('is in the body, where that is named too', () => {
    expect(meaningOf(byBody, { status: 200, json: { ok: true } })).toBe('valid');
    expect(meaningOf(byBody, refusal('invalid_key'))).toBe('rejected');
    expect(meaningOf(byBody, { status: 201, json: { ok: true } })).toBeNull();
  });

  it('is none, where the body is another than any that is named', () => {
    for (const json of [
      undefined,
      null,
      'true',
      1,
      true,
      [],
      {},
      { ok: 'true' },
      { ok: 1 },
      { ok: null },
      { ok: {} },
    ]) {
      expect(meaningOf(byBody, { status: 200, json }), JSON.stringify(json)).toBeNull();
    }
    for (const code of ['an invalid_key', 'INVALID_KEY', '', null, 1, ['invalid_key'], { code: 'invalid_key' }]) {
      expect(meaningOf(byBody, refusal(code)), JSON.stringify(code)).toBeNull();
    }
  });

  it('is found by a pointer in what was sent, and not in what every object has', () => {
    const named = (pointer: string) => check({ valid: [{ status: 200, body: { [pointer]: 'x' } }], rejected: [] });
    expect(meaningOf(named('/a~1b/m~0n/'), { status: 200, json: { 'a/b': { 'm~n': { '': 'x' } } } })).toBe('valid');
    expect(meaningOf(named('/a~01'), { status: 200, json: { 'a~1': 'x' } })).toBe('valid');
    expect(meaningOf(named('/constructor/name'), { status: 200, json: {} })).toBeNull();
    expect(meaningOf(named('/0'), { status: 200, json: 'x' })).toBeNull();
  });
});

describe('a body', () => {
  it('is read only where it makes a difference', () => {
    expect(isBodyNeeded(byStatus, 200)).toBe(false);
    expect(isBodyNeeded(byBody, 200)).toBe(true);
    expect(isBodyNeeded(byBody, 401)).toBe(false);
  });
});
