import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT } from '../../development/checkout.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: `${type()} ${release()}`,
  };
}

const PACKAGES = ['express', 'pg', 'drizzle-orm', 'better-auth', '@better-auth/api-key', '@sentry/node'];

export function versions(postgres: string): Record<string, string> {
  return {
    node: process.versions.node,
    postgresql: postgres,
    ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  };
}

/** Read as a file: not every package exports its package.json. */
function versionOf(name: string): string {
  const manifest = readFileSync(join(CHECKOUT, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The commit that is measured, with a plus when the service's sources differ from it. */
export function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', ['-C', CHECKOUT, ...args], { encoding: 'utf8' }).trim();
    const changed = git('status', '--porcelain', '--', 'src', 'package.json', 'pnpm-lock.yaml');
    return git('rev-parse', '--short=10', 'HEAD') + (changed === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
