import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const WITH_DATABASE = fileURLToPath(new URL('../../development/with-database.ts', import.meta.url));
const GIVEN = {
  KEY_SERVICE_DATABASE_URL: 'postgresql://somebody@127.0.0.1:1/theirs',
  ENCRYPTION_KEY: 'given',
  KEY_SERVICE_API_KEY: 'given',
};

describe('with-database', () => {
  it('runs a command in the environment of development, on the database that the caller names', () => {
    const { stdout } = run('printenv KEY_SERVICE_DATABASE_URL NODE_ENV');
    expect(stdout).toBe('postgresql://somebody@127.0.0.1:1/theirs\ndevelopment\n');
  });

  it('ends with the exit code of its command', () => {
    expect(run('exit 7').status).toBe(7);
  });

  it('ends as a shell would when a signal ended its command', () => {
    expect(run('kill -TERM $$').status).toBe(143);
  });

  it('finds the programs of the installed packages', () => {
    expect(run('command -v tsx').stdout).toContain('node_modules/.bin/tsx');
  });
});

function run(script: string) {
  return spawnSync(process.execPath, ['--import', 'tsx', WITH_DATABASE, 'sh', '-c', script], {
    encoding: 'utf8',
    env: { ...process.env, ...GIVEN },
  });
}
