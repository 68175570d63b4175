import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { catalogue } from '../../src/providers/catalogue.ts';
import type { ExpectedAnswer, Provider } from '../../src/providers/provider.ts';
import { checkerOf, type ObservedChecker } from '../support/provider-checks.ts';
import { FAKE_KEYS } from '../support/provider-keys.ts';
import { answerJson, type ProviderStandIn, startProviderStandIn } from '../support/provider-stand-in.ts';

let standIn: ProviderStandIn;
let checker: ObservedChecker;
beforeAll(async () => {
  standIn = await startProviderStandIn();
});
afterAll(() => standIn.close());
beforeEach(() => {
  standIn.requests.length = 0;
});

type CheckableProvider = Provider & { check: NonNullable<Provider['check']> };
const checkable = catalogue.filter((provider): provider is CheckableProvider => provider.check !== null);
beforeAll(() => {
  checker = checkerOf(checkable.map(({ slug }) => `${slug}=http://127.0.0.1:${standIn.port}/gateway/${slug}/`).join());
});

/** A body that is as expected, among other things. */
function bodyOf({ body = {} }: ExpectedAnswer): unknown {
  const root: Record<string, unknown> = { other: 'things' };
  for (const [pointer, expected] of Object.entries(body)) {
    const names = pointer.split('/').slice(1);
    let parent = root;
    for (const name of names.slice(0, -1)) {
      parent[name] ??= {};
      parent = parent[name] as Record<string, unknown>;
    }
    parent[String(names.at(-1))] = typeof expected === 'object' ? `${expected.startsWith} and more` : expected;
  }
  return withLists(root);
}

/** What has nothing but the name 0 is a list in the provider's answer. */
function withLists(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, withLists(inner)] as const);
  return entries.length === 1 && entries[0]?.[0] === '0' ? [entries[0][1]] : Object.fromEntries(entries);
}

async function outcomeOf(slug: string, expected: ExpectedAnswer, body = bodyOf(expected)) {
  standIn.answer = (response) => answerJson(response, expected.status, body);
  return checker.check(slug, String(FAKE_KEYS[slug]));
}

describe.each(checkable)('$slug', ({ slug, check }) => {
  const key = String(FAKE_KEYS[slug]);

  it('is asked as the catalogue says, with the key in its header and nowhere else', async () => {
    await outcomeOf(slug, { status: 200 });
    expect(standIn.requests).toHaveLength(1);
    const [request] = standIn.requests;
    expect(request).toMatchObject({ method: check.method, url: `/gateway/${slug}${check.path}` });
    const { [check.keyHeader.name.toLowerCase()]: sent, ...others } = request?.headers ?? {};
    expect(sent).toBe(check.keyHeader.value.split('{key}').join(key));
    for (const [name, value] of Object.entries(check.headers ?? {})) expect(others[name.toLowerCase()]).toBe(value);
    expect(others['user-agent']).toMatch(/^key-service\/\d/);
    expect(others['accept-encoding']).toBe('identity');
    expect(request?.body).toBe(check.body === undefined ? '' : JSON.stringify(check.body));
    expect(JSON.stringify([request?.url, request?.body, others])).not.toContain(key);
  });

  it.each(check.valid)('says that a key is good: $status $body', async (expected) => {
    expect(await outcomeOf(slug, expected)).toBe('valid');
  });

  it.each(check.rejected)('says that a key is wrong: $status $body', async (expected) => {
    expect(await outcomeOf(slug, expected)).toBe('rejected');
  });

  it.each(check.neither ?? [])('says neither: $status $body, $because', async (expected) => {
    expect(await outcomeOf(slug, expected)).toBe('unreachable');
    expect(checker.facts.at(-1)).toEqual({
      provider: slug,
      outcome: 'unreachable',
      reason: 'unexpected_answer',
      status: expected.status,
    });
  });

  it.each([204, 301, 302, 307, 308, 400, 403, 404, 408, 418, 429, 500, 502, 503, 504])(
    'says nothing with a bare %i',
    async (status) => {
      expect(await outcomeOf(slug, { status }, {})).toBe('unreachable');
    },
  );

  it('says nothing with a page of a proxy, where the body decides', async () => {
    const decides = [...check.valid, ...check.rejected].filter(({ body }) => body !== undefined);
    for (const { status } of decides) {
      standIn.answer = (response) => response.writeHead(status).end('<html>{"ok":true}</html>');
      const outcome = await checker.check(slug, key);
      const byStatusAlone = [...check.valid, ...check.rejected].some(
        (answer) => answer.status === status && answer.body === undefined,
      );
      expect(outcome === 'unreachable', String(status)).toBe(!byStatusAlone);
    }
  });
});

describe('a provider that cannot be asked', () => {
  it.each(['twilio', 'unknown', 'constructor', '__proto__', ''])(
    'is none that anything is sent to: %j',
    async (slug) => {
      expect(await checker.check(slug, 'not-a-real-key')).toBe('unchecked');
      expect(standIn.requests).toEqual([]);
    },
  );
});
