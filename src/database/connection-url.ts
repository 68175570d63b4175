import pg from 'pg';

/** Whether and how a database URL asks for TLS. */
type TlsMode = 'none' | 'if-offered' | 'always';

const MODES: Record<string, TlsMode> = { disable: 'none', allow: 'if-offered', prefer: 'if-offered' };

/** What node-postgres says when the server answers a TLS request with "no" (its connection.js). */
const TLS_NOT_OFFERED = 'The server does not support SSL connections';

/**
 * Gives the URL's sslmode libpq's meaning, which is what it says in every provider's documentation: `require` encrypts
 * without verifying, `verify-ca` and `verify-full` verify. (node-postgres alone verifies for all of them.)
 * `allow` and `prefer` encrypt where the server offers it, which has to be asked.
 */
export async function settleTls(url: string): Promise<{ url: string; encrypted: boolean }> {
  const parsed = new URL(url);
  const sslMode = parsed.searchParams.get('sslmode');
  const mode = sslMode === null ? 'none' : (MODES[sslMode] ?? 'always');
  if (mode === 'none') return { url, encrypted: false };
  if (sslMode === 'no-verify') return { url, encrypted: true };

  parsed.searchParams.set('uselibpqcompat', 'true');
  if (mode === 'always') return { url: parsed.href, encrypted: true };

  parsed.searchParams.set('sslmode', 'prefer');
  if (await offersTls(parsed.href)) return { url: parsed.href, encrypted: true };
  parsed.searchParams.set('sslmode', 'disable');
  return { url: parsed.href, encrypted: false };
}

async function offersTls(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    return true;
  } catch (error) {
    if (isTlsRefusal(error)) return false;
    throw error;
  } finally {
    await client.end();
  }
}

/** Whether a server said that it does not speak TLS. */
export function isTlsRefusal(error: unknown): boolean {
  return error instanceof Error && error.message === TLS_NOT_OFFERED;
}
