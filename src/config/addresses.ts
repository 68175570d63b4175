import { z } from 'zod';
import { readTrustProxy, TRUST_PROXY_PROBLEM } from '../http/trust-proxy.ts';
import { BaseUrlProblem, readBaseUrls } from '../providers/base-urls.ts';

export const url = (protocols: readonly string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    error: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });

/** libpq's modes, and node-postgres's own name for "require". */
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** Says what is wrong with how a database URL asks for TLS. Called for anything, a string that is no URL too. */
function tlsProblem(databaseUrl: string): string | null {
  if (!URL.canParse(databaseUrl)) return null;
  const { searchParams } = new URL(databaseUrl);
  const modes = searchParams.getAll('sslmode');
  // Two readers of one URL might see two modes.
  if (modes.length > 1 || searchParams.has('ssl')) return 'must say with one sslmode how TLS is used';
  const [mode = 'disable'] = modes;
  if (!SSL_MODES.includes(mode)) return `must have an sslmode that is one of ${SSL_MODES.join(', ')}`;
  if (mode === 'verify-ca' && !searchParams.has('sslrootcert')) {
    return 'must have an sslrootcert beside sslmode=verify-ca: the authority to verify with';
  }
  return null;
}

export const databaseUrl = url(['postgresql:', 'postgres:']).superRefine((value, context) => {
  const message = tlsProblem(value);
  if (message !== null) context.addIssue({ code: 'custom', message });
});

/** The path is the number of a database. */
export const redisUrl = url(['redis:', 'rediss:']).refine(
  (value) => !URL.canParse(value) || (new URL(value).hostname !== '' && /^\/?\d{0,5}$/.test(new URL(value).pathname)),
  'must name a host, and at most the number of a database after it',
);

export const providerBaseUrls = z.string().transform((list, context) => {
  try {
    return readBaseUrls(list);
  } catch (error) {
    if (!(error instanceof BaseUrlProblem)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

export const trustProxy = z.string().transform((text, context) => {
  const proxies = readTrustProxy(text);
  if (proxies !== null) return proxies;
  context.addIssue({ code: 'custom', message: TRUST_PROXY_PROBLEM });
  return z.NEVER;
});
