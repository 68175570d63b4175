import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { CHECKOUT } from '../development/checkout.ts';

const SOURCES = fileURLToPath(new URL('servers', import.meta.url));
const OUTPUT = join(CHECKOUT, 'dist', 'bench');

/**
 * Compiles the peers, as the service is compiled: run from their sources, they would carry a compiler in their memory.
 * Types are checked by `npm run check`.
 */
export function compileServers(): void {
  mkdirSync(OUTPUT, { recursive: true });
  for (const file of readdirSync(SOURCES)) {
    const { outputText } = ts.transpileModule(readFileSync(join(SOURCES, file), 'utf8'), {
      fileName: file,
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    writeFileSync(join(OUTPUT, file.replace(/\.ts$/, '.js')), outputText);
  }
}

export function compiledServer(name: string): string {
  return join(OUTPUT, `${name}.js`);
}
