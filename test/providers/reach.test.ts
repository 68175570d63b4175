import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generate } from 'selfsigned';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { catalogue } from '../../src/providers/catalogue.ts';
import { addresses, checkerOf } from '../support/provider-checks.ts';
import {
  answerJson,
  type Certificate,
  type ProviderStandIn,
  startProviderStandIn,
} from '../support/provider-stand-in.ts';
import { FORBIDDEN, LOOPBACK } from '../unit/providers/forbidden-addresses.ts';

const SECRET = 'sk-not-a-real-key';
const REFUSED = { provider: 'openrouter', outcome: 'unreachable', reason: 'address_refused' };

let certificate: Certificate;
let plain: ProviderStandIn;
let tls: ProviderStandIn;
beforeAll(async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  certificate = { cert, key };
});
beforeEach(async () => {
  plain = await startProviderStandIn();
  tls = await startProviderStandIn(certificate);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await plain.close();
  await tls.close();
});

describe("a provider's own name", () => {
  it.each([...FORBIDDEN, ...LOOPBACK])('that leads to %s is not connected to', async (address) => {
    const checker = checkerOf('', { resolve: async () => addresses(address) });
    expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
    expect(checker.facts).toEqual([REFUSED]);
  });

  it('is not connected to when one of its addresses is out of reach, wherever that stands', async () => {
    for (const list of [
      ['1.1.1.1', '10.0.0.1'],
      ['10.0.0.1', '1.1.1.1'],
      ['2606:4700:4700::1111', '1.1.1.1', '::1'],
    ]) {
      const checker = checkerOf('', { resolve: async () => addresses(...list) });
      expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
      expect(checker.facts).toEqual([REFUSED]);
    }
  });

  it('is not connected to when it has no address', async () => {
    for (const resolve of [async () => [], () => Promise.reject(new Error('ENOTFOUND'))]) {
      const checker = checkerOf('', { resolve });
      expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
      expect(checker.facts).toEqual([{ ...REFUSED, reason: 'not_resolved' }]);
    }
  });

  it('is the one of the catalogue, unless the operator says otherwise', async () => {
    const asked: string[] = [];
    const checker = checkerOf(`xai=https://gateway.example:8443/x`, {
      resolve: async (hostname) => {
        asked.push(hostname);
        return [];
      },
    });
    for (const { slug } of catalogue) await checker.check(slug, SECRET);
    expect(asked).toEqual(
      catalogue.flatMap(({ slug, check }) => {
        if (check === null) return [];
        return slug === 'xai' ? 'gateway.example' : new URL(check.baseUrl).hostname;
      }),
    );
  });
});

describe("a gateway's name", () => {
  it('on the internet cannot come to mean this machine, allowed as that may be', async () => {
    const gateways = `openrouter=https://gateway.example:${tls.port},slack=http://localhost:${plain.port}`;
    const checker = checkerOf(gateways, { resolve: async () => addresses('127.0.0.1') });
    expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
    expect(checker.facts).toEqual([REFUSED]);
    expect(tls.connections).toBe(0);
  });

  it('localhost cannot come to mean another machine', async () => {
    for (const address of ['1.1.1.1', '10.0.0.1', '169.254.169.254', '::ffff:127.0.0.1']) {
      const checker = checkerOf(`openrouter=http://localhost:${plain.port}`, {
        resolve: async () => addresses('127.0.0.1', address),
      });
      expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
      expect(checker.facts).toEqual([REFUSED]);
    }
    expect(plain.connections).toBe(0);
  });

  it('is resolved once, and the connection goes to the addresses that were looked at', async () => {
    const answers = [addresses('127.0.0.1'), addresses('169.254.169.254'), addresses('10.0.0.1')];
    let asked = 0;
    const checker = checkerOf(`openrouter=http://localhost:${plain.port}`, {
      resolve: async () => answers[asked++] ?? [],
    });
    expect(await checker.check('openrouter', SECRET)).toBe('valid');
    expect(asked).toBe(1);
    expect(plain.requests).toHaveLength(1);
    // The next check is another question, and looks again.
    expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
    expect(checker.facts.at(-1)).toEqual(REFUSED);
    expect(plain.requests).toHaveLength(1);
  });

  // Linux has all of 127.0.0.0/8, macOS the first address of it.
  it.skipIf(process.platform !== 'linux')('is where it was looked up, and not where it leads otherwise', async () => {
    const second = await startProviderStandIn(undefined, '127.0.0.2');
    try {
      const checker = checkerOf(`openrouter=http://localhost:${second.port}`, {
        resolve: async () => addresses('127.0.0.2'),
      });
      expect(await checker.check('openrouter', SECRET)).toBe('valid');
      expect(second.requests.map(({ headers }) => headers.host)).toEqual([`localhost:${second.port}`]);
    } finally {
      await second.close();
    }
  });

  it('is tried at its other addresses where one does not answer', async () => {
    const checker = checkerOf(`openrouter=http://localhost:${plain.port}`, {
      resolve: async () => addresses('::1', '127.0.0.1'),
    });
    expect(await checker.check('openrouter', SECRET)).toBe('valid');
  });

  it('is found by the resolver of the system', async () => {
    expect(await checkerOf(`openrouter=http://localhost:${plain.port}`).check('openrouter', SECRET)).toBe('valid');
  });

  it('that is an address is looked at too', async () => {
    const neverAsked = () => Promise.reject(new Error('an address is not resolved'));
    const checker = checkerOf(`openrouter=http://127.0.0.1:${plain.port}`, { resolve: neverAsked });
    expect(await checker.check('openrouter', SECRET)).toBe('valid');
  });
});

describe('TLS', () => {
  const question = (host: string) => checkerOf(`openrouter=https://${host}:${tls.port}`);

  it('is not spoken with a certificate that nobody trusts', async () => {
    const checker = question('localhost');
    expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
    expect(checker.facts).toEqual([{ ...REFUSED, reason: 'connection' }]);
    expect(tls.connections).toBeGreaterThan(0);
    expect(tls.requests).toEqual([]);
  });

  it('is not spoken so when the environment says that certificates are no matter', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    expect(await question('localhost').check('openrouter', SECRET)).toBe('unreachable');
    expect(tls.requests).toEqual([]);
  });

  it("is spoken with a certificate of the operator's own authority, for the name in it and no other", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'key-service-authority-'));
    try {
      const file = join(directory, 'authority.crt');
      await writeFile(file, certificate.cert);
      const outcomes = await inAnotherProcess(
        { NODE_EXTRA_CA_CERTS: file },
        `openrouter=https://localhost:${tls.port},xai=https://127.0.0.1:${tls.port}`,
      );
      expect(outcomes).toEqual({ openrouter: 'valid', xai: 'unreachable' });
      expect(tls.requests.map(({ url }) => url)).toEqual(['/key']);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('a proxy that the environment names', () => {
  it('never sees a check', async () => {
    const proxy = await startProviderStandIn();
    try {
      const address = `http://127.0.0.1:${proxy.port}`;
      const outcomes = await inAnotherProcess(
        { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: address, http_proxy: address, HTTPS_PROXY: address, ALL_PROXY: address },
        `openrouter=http://127.0.0.1:${plain.port},xai=https://localhost:${tls.port}`,
      );
      expect(outcomes).toEqual({ openrouter: 'valid', xai: 'unreachable' });
      expect(proxy.connections).toBe(0);
    } finally {
      await proxy.close();
    }
  });
});

/** Checks a key with OpenRouter and xAI, in a process with this environment. */
async function inAnotherProcess(environment: NodeJS.ProcessEnv, baseUrls: string): Promise<Record<string, string>> {
  plain.answer = (response) => answerJson(response, 200, {});
  const program = `
    import { readBaseUrls } from './src/providers/base-urls.ts';
    import { providerChecker } from './src/providers/provider-checker.ts';
    const baseUrls = readBaseUrls(${JSON.stringify(baseUrls)});
    const checker = providerChecker({ baseUrls, onChecked: () => {} });
    const check = (provider) => checker.check(provider, ${JSON.stringify(SECRET)});
    console.log(JSON.stringify({ openrouter: await check('openrouter'), xai: await check('xai') }));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { env: { ...process.env, ...environment }, cwd: new URL('../..', import.meta.url) },
  );
  return JSON.parse(stdout);
}
