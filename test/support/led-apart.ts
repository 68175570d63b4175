import { startService, type TestService } from './service.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** Two replicas on one database: the network between the first and the database is ours to take away. */
export interface LedApart {
  /** Its pool and its feed each have a way of their own. */
  led: TestService;
  /** Its way is clear. */
  other: TestService;
  pool: TcpProxy;
  feed: TcpProxy;
  leaseMs: number;
  stop(): Promise<void>;
}

export async function startLedApart(environment: NodeJS.ProcessEnv = {}): Promise<LedApart> {
  const variables = { METRICS_PORT: '0', CACHE_LEASE_MS: '500', ...environment };
  const other = await startService({ environment: variables });
  const pool = await startTcpProxy(other.databaseUrl);
  const feed = await startTcpProxy(other.databaseUrl);
  const led = await startService({
    beside: other,
    leadDatabase: async (url) => pool.through(url),
    environment: { ...variables, KEY_SERVICE_DIRECT_DATABASE_URL: feed.through(other.databaseUrl) },
  });
  return {
    led,
    other,
    pool,
    feed,
    leaseMs: Number(variables.CACHE_LEASE_MS),
    async stop() {
      pool.restore();
      feed.restore();
      await led.stop();
      await other.stop();
      await Promise.all([pool.close(), feed.close()]);
    },
  };
}
