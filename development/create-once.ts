import { randomUUID } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { hasCode } from './has-code.ts';

/**
 * The content of a file, created with `content()` when it is not there yet.
 *
 * The file appears whole or not at all, and of several processes that create it at once exactly one
 * wins: `link` refuses to replace what exists. Everybody then reads the same content.
 */
export async function createOnce(path: string, content: () => string): Promise<string> {
  const existing = await readIfPresent(path);
  if (existing !== undefined) return existing;

  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, content(), { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, 'utf8');
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
