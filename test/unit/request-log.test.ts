import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ServiceError } from '../../src/errors.ts';
import { RequestState } from '../../src/http/request-state.ts';
import { RequestLog } from '../../src/observability/request-log.ts';

type Line = { level: string; message: string; fields: Record<string, unknown> };

/** A log whose lines can be read, and requests to add to it. */
function logWith({ sampleValidations }: { sampleValidations: number }) {
  const lines: Line[] = [];
  const writer = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...fields } });
  };
  const logger = { info: writer('info'), warn: writer('warn'), error: writer('error'), fatal: writer('fatal') };
  const log = new RequestLog(logger as unknown as ConstructorParameters<typeof RequestLog>[0], sampleValidations);
  async function add(
    times: number,
    route: string | null,
    status: number,
    error?: unknown,
    callerName = 'service:root',
  ) {
    for (let time = 0; time < times; time += 1) {
      const state = new RequestState(`id-${time}`, false);
      Object.assign(state, { route, error, callerName: callerName === 'nobody' ? null : callerName });
      log.add({ state, method: 'GET', status, durationMs: 1, aborted: false });
    }
    await vi.advanceTimersByTimeAsync(0);
  }
  return { lines, add };
}

const refused = new ServiceError('api_key_invalid', 'No.');
const unavailable = new ServiceError('database_unavailable', 'Not now.');

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Good validations', () => {
  it.each([
    [1, 10],
    [5, 2],
    [1_000, 0],
    [0, 0],
  ])('are sampled: with %i, ten of them have %i line(s)', async (sampleValidations, expected) => {
    const { lines, add } = logWith({ sampleValidations });
    await add(10, '/validate', 200);
    expect(lines).toHaveLength(expected);
  });

  it('and reveals to holders of keys, which the audit log has all of, are the only requests that are sampled', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(200, '/validate/keys/:provider', 200);
    expect(lines).toHaveLength(0);
    await add(200, '/internal/keys/:provider/decrypt', 200);
    await add(200, '/internal/keys', 200);
    expect(lines).toHaveLength(400);
  });
});

describe('Refused requests of others', () => {
  it('whose sender nobody knows have 50 lines in a second, whatever they ask for, and one that counts the rest', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(100, null, 404, new ServiceError('not_found', 'Nothing.'), 'nobody');
    await add(100, '/webhooks/clerk', 400, new ServiceError('webhook_signature_invalid', 'No.'), 'nobody');
    expect(lines).toHaveLength(50);
    // Those who guess keys are seen all the same.
    await add(100, '/validate', 401, refused, 'nobody');
    expect(lines).toHaveLength(100);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(lines.slice(100)).toEqual([
      { level: 'info', message: 'lines of refused strangers were left out', fields: { lines: 150 } },
      { level: 'info', message: 'lines of refused validations were left out', fields: { lines: 50 } },
    ]);
  });

  it('have each a line where the sender is known', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(200, '/internal/api-keys/:id', 404, new ServiceError('api_key_not_found', 'No.'));
    expect(lines).toHaveLength(200);
  });
});

describe('Refused validations', () => {
  it('have 50 lines in a second, whichever of the two routes, and one that counts the rest', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(40, '/validate', 401, refused);
    await add(160, '/validate/keys/:provider', 401, refused);
    expect(lines).toHaveLength(50);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(lines.slice(50)).toEqual([
      { level: 'info', message: 'lines of refused validations were left out', fields: { lines: 150 } },
    ]);
  });

  it('have all their lines where there are few, and again in the next second', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    for (let second = 0; second < 3; second += 1) {
      await add(50, '/validate', 401, refused);
      await vi.advanceTimersByTimeAsync(1_100);
    }
    expect(lines).toHaveLength(150);
    expect(lines[0]?.fields).toMatchObject({ route: '/validate', status: 401, error: { code: 'api_key_invalid' } });
  });
});

describe('Failed requests', () => {
  it('have 50 lines in a second when the database is away, and one that counts the rest', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(100, '/validate', 503, unavailable);
    await add(100, '/internal/keys', 503, unavailable);
    expect(lines).toHaveLength(50);
    await vi.advanceTimersByTimeAsync(1_100);
    const message = 'lines of failed requests were left out';
    const fields = { error: { code: 'database_unavailable' }, lines: 150 };
    expect(lines.slice(50)).toEqual([{ level: 'error', message, fields }]);
  });

  it('have 50 lines for each code on the two routes that holders of keys ask', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    const unreadable = new ServiceError('provider_key_unreadable', 'x');
    await add(100, '/validate', 500, new TypeError('x'));
    await add(100, '/validate/keys/:provider', 500, unreadable);
    await add(10, '/validate/keys/:provider', 401, refused);
    expect(lines).toHaveLength(110);
    await vi.advanceTimersByTimeAsync(1_100);
    const message = 'lines of failed requests were left out';
    expect(lines.slice(110)).toEqual([
      { level: 'error', message, fields: { error: { code: 'internal_error' }, lines: 50 } },
      { level: 'error', message, fields: { error: { code: 'provider_key_unreadable' }, lines: 50 } },
    ]);
  });

  it('have every line elsewhere', async () => {
    const { lines, add } = logWith({ sampleValidations: 0 });
    await add(100, '/internal/keys', 500, new TypeError('x'));
    await add(100, '/internal/keys/:provider', 500, new ServiceError('provider_key_unreadable', 'x'));
    expect(lines.map(({ level }) => level)).toEqual(Array(200).fill('error'));
  });
});
