import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../src/providers/catalogue.ts';
import { catalogueSchema, type Provider, providerSchema } from '../../../src/providers/provider.ts';
import { FAKE_KEYS } from '../../support/provider-keys.ts';

const PROMISED =
  'anthropic openai apollo google-gemini mistral groq openrouter deepseek xai cohere perplexity together fireworks ' +
  'replicate huggingface elevenlabs stripe sendgrid postmark resend twilio hubspot instantly firecrawl serper tavily ' +
  'exa github slack notion';

const entry = (slug: string): Provider => {
  const found = catalogue.find((provider) => provider.slug === slug);
  if (found === undefined) throw new Error(`The catalogue has no ${slug}`);
  return found;
};

describe('the catalogue', () => {
  it('is as its schema says: sorted, each once, https, the key in a header', () => {
    expect(catalogueSchema.safeParse(catalogue).error?.issues).toBeUndefined();
  });

  it('has every provider that was promised', () => {
    expect(catalogue.map(({ slug }) => slug)).toEqual(expect.arrayContaining(PROMISED.split(' ')));
  });

  it.each(catalogue)('$slug: has a form that a key of it has, and a longer text has not', ({ slug, keyForm }) => {
    const form = new RegExp(keyForm.pattern);
    const key = String(FAKE_KEYS[slug]);
    expect(key).toMatch(form);
    for (const text of ['', `${key} `, ` ${key}`, `${key}\n`, `Bearer ${key}`, `${key}"`])
      expect(text).not.toMatch(form);
  });

  it('is what the documentation shows, row by row', () => {
    const document = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8');
    const rows = catalogue.map(({ slug, name, check }) =>
      check === null
        ? `| \`${slug}\` | ${name} | – | – |`
        : `| \`${slug}\` | ${name} | \`${check.baseUrl}\` | \`${check.method} ${check.path}\` |`,
    );
    expect(document.split('\n').filter((line) => line.startsWith('| `') && line.split('|').length === 6)).toEqual(rows);
  });

  it('checks none that takes more than a key', () => {
    expect(catalogue.filter(({ check }) => check === null).map(({ slug }) => slug)).toEqual(['twilio']);
  });
});

describe('an entry', () => {
  const good = entry('openai');
  const check = good.check as NonNullable<Provider['check']>;
  const refused = (change: Record<string, unknown>) => !providerSchema.safeParse({ ...good, ...change }).success;
  const refusedCheck = (change: Record<string, unknown>) => refused({ check: { ...check, ...change } });

  it.each(['OpenAI', '-openai', 'open_ai', '', 'a'.repeat(64)])('has no slug like %j', (slug) => {
    expect(refused({ slug })).toBe(true);
  });

  it.each(['http://openai.example', 'https://user@openai.example', 'https://:secret@openai.example', 'openai.example'])(
    'has no address like %s',
    (url) => {
      expect(refused({ keysUrl: url })).toBe(true);
      expect(refusedCheck({ baseUrl: url })).toBe(true);
    },
  );

  it.each(['https://openai.example/', 'https://openai.example/v1?a=1', 'https://openai.example/v1#a'])(
    'has no base URL like %s',
    (baseUrl) => expect(refusedCheck({ baseUrl })).toBe(true),
  );

  it.each(['/models?key={key}', '/{key}/models', 'models', '/models?key=secret', '/models#a', '//elsewhere.example\\'])(
    'never has the key in its path: %s',
    (path) => expect(refusedCheck({ path })).toBe(true),
  );

  it.each(['Bearer', 'Bearer {key} {key}', 'Bearer {key}\r\nX-Other: a', ' {key}'])(
    'has the key in its header once, and nothing that ends a header: %j',
    (value) => expect(refusedCheck({ keyHeader: { name: 'Authorization', value } })).toBe(true),
  );

  it.each(['sk-.*', '^sk-', '^(sk-$', '^.*$'])('has no form that is not for whole keys: %s', (pattern) => {
    expect(refused({ keyForm: { pattern, hint: 'Anything.' } })).toBe(true);
  });

  it.each([
    ['a success says rejected', { rejected: [{ status: 200 }] }],
    ['a 403 says rejected', { rejected: [{ status: 403 }] }],
    ['a limit says rejected', { rejected: [{ status: 429, body: { '/a': 'b' } }] }],
    ['a redirect says rejected', { rejected: [{ status: 302, body: { '/a': 'b' } }] }],
    ['a failure of the provider says rejected', { rejected: [{ status: 500, body: { '/a': 'b' } }] }],
    ['a 401 says valid', { valid: [{ status: 401 }] }],
    ['a redirect says valid', { valid: [{ status: 301 }] }],
    ['nothing says valid', { valid: [] }],
    ['nothing says rejected', { rejected: [] }],
    ['one answer says both', { valid: [{ status: 200 }], rejected: [{ status: 200, body: { '/ok': false } }] }],
    [
      'one answer may say both',
      {
        valid: [{ status: 403, body: { '/a': 'x' } }],
        rejected: [{ status: 403, body: { '/b': 'x' } }],
      },
    ],
    ['a pointer is none', { valid: [{ status: 200, body: { ok: true } }] }],
    ['a GET has a body', { body: {} }],
    ['a POST has none', { method: 'POST' }],
    ['the method changes something', { method: 'DELETE' }],
    ['there is more than the schema knows', { followRedirects: true }],
  ])('is refused when %s', (_what, change) => {
    expect(refusedCheck(change)).toBe(true);
  });

  it('stands once, and where it belongs', () => {
    expect(catalogueSchema.safeParse([good, good]).success).toBe(false);
    expect(catalogueSchema.safeParse([good, entry('anthropic')]).success).toBe(false);
    expect(catalogueSchema.safeParse([entry('anthropic'), good]).success).toBe(true);
  });
});
