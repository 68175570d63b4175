import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SERVICE_KEY } from '../support/client.ts';
import { startSentryStandIn } from '../support/sentry-stand-in.ts';
import { createTestDatabase } from '../support/test-database.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Run before the service; tells at its end whether the SDK, which leaves this global behind, was ever there. */
const WITNESS = `process.on('exit', () => process._rawDebug('sentry loaded: ' + ('__SENTRY__' in globalThis)))`;

/** Starts the service as a process, stops it, and tells what it said. */
async function runService(environment: NodeJS.ProcessEnv): Promise<{ code: number | null; output: string }> {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const preload = `data:text/javascript,${encodeURIComponent(WITNESS)}`;
  const service = spawn(process.execPath, ['--import', preload, '--import', 'tsx', 'src/main.ts'], {
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'test',
      HOST: '127.0.0.1',
      PORT: '0',
      KEY_SERVICE_DATABASE_URL: database.url,
      KEY_SERVICE_API_KEY: SERVICE_KEY,
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [service.stdout, service.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      // A moment later: it announces itself just before it listens to signals.
      if (output.includes('Key Service is ready')) setTimeout(() => service.kill('SIGTERM'), 300);
    });
  }
  const [code] = (await once(service, 'close')) as [number | null];
  return { code, output };
}

describe('the Sentry SDK', () => {
  it('is not loaded without a DSN', async () => {
    const { code, output } = await runService({});
    expect(code).toBe(0);
    expect(output).toContain('sentry loaded: false');
  });

  it('is loaded with one', async () => {
    const sentry = await startSentryStandIn();
    onTestFinished(() => sentry.close());
    const { code, output } = await runService({ SENTRY_DSN: sentry.dsn });
    expect(code).toBe(0);
    expect(output).toContain('sentry loaded: true');
  });
});
