import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Account, runCommand } from './command.ts';
import { EmbeddedPostgresError } from './unavailable.ts';

/** The account for a database in `directory`; undefined when the caller runs PostgreSQL as itself. */
export async function serverAccount(directory: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) {
    requireAccountName();
    return undefined;
  }
  for (const account of await candidates(directory)) {
    // Asked of the kernel rather than assumed: in a container not every uid can be taken on.
    if ((await runCommand(account, '/bin/sh', ['-c', ':'])).succeeded) return account;
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL does not run as root, and no unprivileged account of /etc/passwd can be used here.',
  );
}

/** Who owns the database already, then `nobody`, then whatever else there is. */
async function candidates(directory: string): Promise<Account[]> {
  const owner = await stat(join(directory, 'cluster')).catch(() => undefined);
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const entries = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0);
  return [
    ...(owner && owner.uid !== 0 ? [{ uid: owner.uid, gid: owner.gid }] : []),
    ...entries.filter(({ name }) => name === 'nobody'),
    ...entries.filter(({ name }) => name !== 'nobody'),
  ];
}

/** `initdb` looks up the name of whoever runs it, and fails obscurely for a bare number. */
function requireAccountName(): void {
  try {
    userInfo();
  } catch {
    throw new EmbeddedPostgresError(
      `PostgreSQL needs to run as an account that has a name, and uid ${process.getuid?.()} has no entry in /etc/passwd.`,
    );
  }
}
