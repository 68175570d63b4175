import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const DOCUMENT = read('docs/adding-an-endpoint.md');
/** Its pieces of TypeScript, in order: the rule, the endpoint, the entry among the routes, the test. */
const [rule = '', endpoint = '', route = '', test = '', ...others] = [
  ...DOCUMENT.matchAll(/^```ts\n(.*?)^```$/gms),
].map(([, code = '']) => code);

/** Files as they are once somebody has done what the document says, by their path. */
type Files = Record<string, string>;

function inserted(path: string, before: string, code: string): string {
  const text = read(path);
  const at = text.indexOf(before);
  if (at < 0 || text.indexOf(before, at + 1) >= 0) throw new Error(`${path} has no single place for the example`);
  return text.slice(0, at) + code + text.slice(at);
}

function asDocumented(code: { rule: string; endpoint: string }): Files {
  const routes = read('test/support/routes.ts');
  const entry = routes.match(/ {2}\{\s+path: '\/internal\/keys\/\{provider\}',[^}]*\},\n/)?.[0] ?? '';
  if (entry === '') throw new Error('The routes have no entry that the example replaces');
  return {
    'src/provider-keys/provider-keys.ts': inserted(
      'src/provider-keys/provider-keys.ts',
      '  async #reveal<',
      `${code.rule}\n`,
    ),
    'src/provider-keys/endpoints.ts': inserted(
      'src/provider-keys/endpoints.ts',
      "    endpoint({\n      method: 'delete',",
      code.endpoint,
    ),
    'test/support/routes.ts': routes.replace(entry, () => route),
    'test/http/get-provider-key.test.ts': test,
  };
}

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile).config,
  ts.sys,
  ROOT,
);
/** Read once for all the programs. */
const known = new Map<string, ts.SourceFile | undefined>();

/** What the compiler says of these files and of all that they import, with nothing written anywhere. */
function complaints(files: Files): string[] {
  const changed = new Map(Object.entries(files).map(([path, text]) => [join(ROOT, path), text]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => changed.has(name) || fileExists(name);
  host.readFile = (name) => changed.get(name) ?? readFile(name);
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const text = changed.get(name);
    if (text !== undefined) return ts.createSourceFile(name, text, languageVersion);
    if (!known.has(name)) known.set(name, getSourceFile(name, languageVersion, ...rest));
    return known.get(name);
  };
  const program = ts.createProgram([...changed.keys()], options, host);
  return [...changed.keys()].flatMap((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
  );
}

describe('The example of docs/adding-an-endpoint.md', () => {
  let found: string[];
  beforeAll(() => {
    found = complaints(asDocumented({ rule, endpoint }));
  });

  it('has the four pieces that this test puts where the document says', () => {
    expect(others).toEqual([]);
    expect(rule).toContain('async version(');
    expect(endpoint).toContain("path: '/internal/keys/:provider'");
    expect(route).toContain("path: '/internal/keys/{provider}'");
    expect(test).toContain("describe('GET /internal/keys/:provider'");
  });

  it('compiles', () => {
    expect(found).toEqual([]);
  });

  it('would not with an answer that its schema does not declare, or a rule that is not there', () => {
    const code = { rule: '', endpoint: endpoint.replace('status: 200,', 'status: 204,') };
    const wrong = complaints(asDocumented(code)).join();
    expect(wrong).toContain("'204' is not assignable to type '200'");
    expect(wrong).toContain("Property 'version' does not exist");
  });
});
