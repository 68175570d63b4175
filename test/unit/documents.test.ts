import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { generateKey, keysIn } from '../../src/key-format.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What git ignores is no part of the project; git itself may not be there. */
const ignored = new Set(
  ['.git', ...readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')].map((line) => line.replace(/^\/|\/$/g, '')),
);

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter(({ name }) => !ignored.has(name) && !ignored.has(`*${extname(name)}`))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [relative(ROOT, path)] : [];
    });
}

const files = filesBelow(ROOT);
const isDocument = (file: string) =>
  /\.(md|txt|ya?ml|html?|svg|sh|env.*)$|(^|\/)(\.env|Dockerfile|\.ci\/|openapi)/i.test(file);
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');

/** Values that someone could copy as ENCRYPTION_KEY. */
const masterKeysIn = (text: string) => text.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/gi) ?? [];

/** What scanners for leaked secrets look for. */
const REAL_KEYS = [
  /\bsk_live_[0-9A-Za-z]{16,}/,
  /\bsk_test_[0-9A-Za-z]{24,}/,
  /\bsk-ant-(?:api|admin)\d\d-[\w-]{40,}/,
  /\bsk-(?:proj-)?[0-9A-Za-z]{40,}/,
  /\bgh[pousr]_[0-9A-Za-z]{36}/,
  /\bgithub_pat_\w{50,}/,
  /\bxox[abprs]-[0-9A-Za-z-]{20,}/,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  /\bAIza[\w-]{35}\b/,
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{32}/,
  /\bhttps?:\/\/[0-9a-f]{32}@\w+\.ingest\./,
];
function realKeysIn(text: string): string[] {
  return [...keysIn(text), ...REAL_KEYS.flatMap((pattern) => pattern.exec(text)?.[0] ?? [])];
}

describe('the files of the project', () => {
  it('are found, and among them its documents', () => {
    expect(files).toContain('src/main.ts');
    expect(files).toContain('README.md');
    expect(files.filter(isDocument).length).toBeGreaterThan(5);
    expect(files.filter((file) => file.includes('node_modules'))).toEqual([]);
  });

  it('hold in no document a value of 64 hexadecimal digits, which someone might copy as ENCRYPTION_KEY', () => {
    const found = files.filter(isDocument).filter((file) => masterKeysIn(textOf(file)).length > 0);
    expect(found).toEqual([]);
  });

  it('hold nothing that looks like a real key of anyone', () => {
    expect(files.filter((file) => realKeysIn(textOf(file)).length > 0)).toEqual([]);
  });
});

describe('this search itself', () => {
  it('finds a master key in either case, and none in what is longer or shorter', () => {
    expect(masterKeysIn(`ENCRYPTION_KEY=${'0f'.repeat(32)}\n`)).toHaveLength(1);
    expect(masterKeysIn(`"${'0F'.repeat(32)}"`)).toHaveLength(1);
    expect(masterKeysIn('0f'.repeat(33))).toHaveLength(0);
    expect(masterKeysIn('0f'.repeat(31))).toHaveLength(0);
  });

  it('finds keys of this service, and of others', () => {
    expect(realKeysIn(`curl -H 'Authorization: Bearer ${generateKey('ks', 'live').key}'`)).toHaveLength(1);
    expect(realKeysIn(`X-Service-Key: ${generateKey('ks', 'service').key}`)).toHaveLength(1);
    expect(realKeysIn(`ks_live_${'0'.repeat(49)}`)).toHaveLength(0);
    expect(realKeysIn(`ks_service_${'0'.repeat(49)}`)).toHaveLength(0);
    expect(realKeysIn(`key: ${'sk_'}live_${'a1'.repeat(12)}`)).toHaveLength(1);
    expect(realKeysIn(`${'AKIA'}${'ABCD'.repeat(4)}`)).toHaveLength(1);
  });
});
