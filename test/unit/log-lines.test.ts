import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'];

interface Line {
  level: string;
  /** As it is logged; only the beginning of one that goes on with a value. */
  message: string;
}

/** What a source logs. A message that begins with a value is that of an error, and stands elsewhere. */
function linesOf(name: string, text: string): Line[] {
  const lines: Line[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { expression: object, name: method } = node.expression;
      const last = node.arguments.at(-1);
      if (/\blogger$/i.test(object.getText()) && LEVELS.includes(method.text) && last !== undefined) {
        const message = textOf(last);
        if (message !== '') lines.push({ level: method.text, message });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  return lines;
}

/** The text that a message begins with. */
function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) return node.head.text;
  if (ts.isBinaryExpression(node)) return textOf(node.left);
  return '';
}

/** The table of operations.md; a message that ends with `…` goes on. */
function documented(text: string): Line[] {
  const rows = text.matchAll(/^\| (\w+) \| `([^`]+)` \|/gm);
  return [...rows].flatMap(([, level = '', message = '']) => (LEVELS.includes(level) ? [{ level, message }] : []));
}

const isOf = (row: Line, { level, message }: Line) =>
  row.level === level &&
  (row.message === message || (row.message.endsWith('…') && message.startsWith(row.message.slice(0, -1).trimEnd())));

/** These have a section of their own. */
const REQUESTS = ['request', 'request failed'];

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const logged = sources.flatMap((name) => linesOf(name, readFileSync(join(ROOT, 'src', name), 'utf8')));
const rows = documented(readFileSync(join(ROOT, 'docs/operations.md'), 'utf8'));

describe('The log lines', () => {
  it('are found in the sources, and in the table of docs/operations.md', () => {
    expect(logged).toContainEqual({ level: 'info', message: 'a worker is ready' });
    expect(logged.length).toBeGreaterThan(40);
    expect(rows).toContainEqual({ level: 'info', message: 'a worker is ready' });
  });

  it('are all in that table, with their level', () => {
    const missing = logged.filter((line) => !REQUESTS.includes(line.message) && !rows.some((row) => isOf(row, line)));
    expect(missing).toEqual([]);
  });
});

describe('this search itself', () => {
  it('reads a message however it is written', () => {
    const source = `
      logger.warn('a');
      this.#logger.error({ error }, 'b; ' + 'more');
      logger.info(\`c \${value}\`);
      logger.info(\`\${value} d\`);
      other.info('e');`;
    expect(linesOf('a.ts', source)).toEqual([
      { level: 'warn', message: 'a' },
      { level: 'error', message: 'b; ' },
      { level: 'info', message: 'c ' },
    ]);
  });
});
