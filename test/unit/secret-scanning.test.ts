import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { parse as parseToml } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { freePort } from '../../development/embedded-postgres/port.ts';
import { generateKey, type KeyKind, keysIn } from '../../src/key-format.ts';

const MANY = 10_000;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const KINDS: readonly KeyKind[] = ['live', 'test', 'service'];
const text = readFileSync(fileURLToPath(new URL('../../docs/secret-scanning.md', import.meta.url)), 'utf8');

/** The one block of a language. */
function block(language: string): string {
  const [found, ...more] = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))];
  if (found?.[1] === undefined || more.length > 0) throw new Error(`Not one block of ${language}`);
  return found[1];
}

const documented = block('regex').trim();
const gitleaks = (
  parseToml(block('toml')) as unknown as {
    rules: { regex: string; secretGroup: number; entropy: number; keywords: string[] }[];
  }
).rules[0];
const trufflehog = (
  parseYaml(block('yaml')) as {
    detectors: { name: string; regex: Record<string, string>; keywords: string[]; verify: { endpoint: string }[] }[];
  }
).detectors[0];
if (gitleaks === undefined || trufflehog === undefined) throw new Error('The document has no rules');

const keys = Array.from({ length: MANY }, (_, n) => generateKey('ks', KINDS[n % 3] ?? 'live').key);
/** What stands around a key in the files that are scanned. */
const SURROUNDINGS = [
  ['', ''],
  ['KEY=', '\n'],
  ['"', '",'],
  ['Authorization: Bearer ', ' \\'],
  ['https://api.example/?key=', '&a=b'],
  ['MY_', '.'],
  ['é', 'é'],
] as const;
const placed = keys.map((key, n) => (SURROUNDINGS[n % SURROUNDINGS.length] ?? ['', '']).join(key));

const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(...DIGITS), minLength: length, maxLength: length });
/** Near to a key's shape, and another; or nowhere near. */
const otherShapes = fc.sample(
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...KINDS), fc.oneof(digits(48), digits(50), digits(43)))
      .map(([kind, part]) => `ks_${kind}_${part}`),
    digits(49).map((part) => `ks_prod_${part}`),
    digits(49).map((part) => `ks-live-${part}`),
    digits(49).map((part) => `KS_LIVE_${part}`),
    digits(49).map((part) => `sk_live_${part}`),
    digits(49).map((part) => `aks_live_${part}`),
    fc.tuple(digits(20), digits(28)).map(([a, b]) => `ks_live_${a}-${b}`),
    fc.string({ maxLength: 120 }),
    fc.uuid(),
  ),
  { numRuns: MANY, seed: 1 },
);
const wrongChecksums = keys.map((key) => {
  const last = DIGITS.indexOf(key.at(-1) ?? '');
  return key.slice(0, -1) + DIGITS[(last + 1) % DIGITS.length];
});

/** Shannon's, in bits a character, as gitleaks reckons it. */
function entropyOf(secret: string): number {
  const counts = new Map<string, number>();
  for (const character of secret) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce(
    (sum, count) => sum - (count / secret.length) * Math.log2(count / secret.length),
    0,
  );
}

describe.each([
  ['the regular expression', documented],
  ["gitleaks' rule", gitleaks.regex],
  ["trufflehog's detector", trufflehog.regex['key'] ?? ''],
])('%s', (_, pattern) => {
  // In the engine of both: RE2, which has no look-around.
  const compiled = RE2JS.compile(pattern);
  const found = (line: string) => {
    const matcher = compiled.matcher(line);
    return matcher.find() ? matcher.group(1) : null;
  };

  it('finds 10,000 keys, wherever they stand, and nothing but the key', () => {
    expect(placed.map(found)).toEqual(keys);
  });

  it('finds nothing in 10,000 strings of another shape', () => {
    expect(otherShapes.filter((line) => found(line) !== null)).toEqual([]);
  });

  it('finds every key of a text, though one character alone stands between them', () => {
    const matcher = compiled.matcher(keys.slice(0, 100).join(','));
    const all: (string | null)[] = [];
    while (matcher.find()) all.push(matcher.group(1));
    expect(all).toEqual(keys.slice(0, 100));
  });

  it('is the same in JavaScript', () => {
    const native = new RegExp(pattern);
    expect(placed.map((line) => native.exec(line)?.[1])).toEqual(keys);
    expect(otherShapes.filter((line) => native.test(line))).toEqual([]);
  });
});

describe('The keywords, by which scanners choose what to look at', () => {
  it.each([
    ['gitleaks', gitleaks.keywords],
    ['trufflehog', trufflehog.keywords],
  ])('of %s stand in every key', (_, keywords) => {
    expect(keys.filter((key) => !keywords.some((keyword) => key.toLowerCase().includes(keyword)))).toEqual([]);
  });
});

describe("gitleaks' rule", () => {
  it('takes the group of the key, whose entropy is enough in 10,000 keys and not in an example', () => {
    expect(gitleaks.secretGroup).toBe(1);
    expect(keys.filter((key) => entropyOf(key) <= gitleaks.entropy)).toEqual([]);
    expect(entropyOf(`ks_live_${'x'.repeat(49)}`)).toBeLessThan(gitleaks.entropy);
  });
});

describe('The verifier', () => {
  let directory: string;
  let verifier: ChildProcess;
  let url: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'verifier-'));
    writeFileSync(join(directory, 'verifier.mjs'), block('js'));
    // Another process may take the port that was free a moment before; then the verifier ends.
    do {
      const port = await freePort();
      url = `http://127.0.0.1:${port}/`;
      verifier = spawn(process.execPath, [join(directory, 'verifier.mjs')], {
        env: { ...process.env, PORT: String(port) },
        stdio: ['ignore', 'inherit', 'ignore'],
      });
      while (verifier.exitCode === null && (await ask('[]').catch(() => 0)) !== 403) await sleep(20);
    } while (verifier.exitCode !== null);
  });
  afterAll(async () => {
    verifier.kill();
    await once(verifier, 'exit');
    rmSync(directory, { recursive: true });
  });
  const ask = async (body: string) => (await fetch(url, { method: 'POST', body })).status;
  /** As trufflehog asks: of every expression what it matched, and its groups. */
  const verified = async (all: readonly string[]) => {
    const statuses: number[] = [];
    for (let start = 0; start < all.length; start += 20) {
      const some = all.slice(start, start + 20);
      const bodies = some.map((key) => JSON.stringify({ [trufflehog.name]: { key: [`"${key}"`, key] } }));
      statuses.push(...(await Promise.all(bodies.map(ask))));
    }
    return new Set(statuses);
  };

  it('listens where the detector asks unless it is told otherwise', () => {
    expect(trufflehog.verify.map(({ endpoint }) => endpoint)).toEqual(['http://127.0.0.1:8080/']);
    expect(block('js')).toContain('process.env.PORT ?? 8080');
  });

  it('says yes to 10,000 keys', async () => {
    expect(await verified(keys)).toEqual(new Set([200]));
  });

  it('says no to 10,000 strings of the right shape with a wrong checksum', async () => {
    expect(wrongChecksums.filter((key) => new RegExp(documented).test(key))).toHaveLength(MANY);
    expect(await verified(wrongChecksums)).toEqual(new Set([403]));
  });

  it('says no to 10,000 strings of another shape', async () => {
    expect(await verified(otherShapes)).toEqual(new Set([403]));
  });

  it.each(['', '{', 'null', '7', '{"key-service":{"key":[null,7,{}]}}'])('lives after %s', async (body) => {
    expect([400, 403]).toContain(await ask(body));
    expect(await ask(JSON.stringify(keys.slice(0, 1)))).toBe(200);
  });
});

describe('What a leak report finds in a text', () => {
  it('is each of 10,000 keys, wherever they stand', () => {
    expect(placed.flatMap(keysIn)).toEqual(keys);
  });

  it('is none of 10,000 with a wrong checksum, and none of 10,000 of another shape', () => {
    expect(wrongChecksums.flatMap(keysIn)).toEqual([]);
    expect(otherShapes.flatMap(keysIn)).toEqual([]);
  });
});
