import { type ReplicaProcess, startReplicaProcess } from './replica-process.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** Two replicas on one database, each a process: the network between the first and the database is ours to take away. */
export interface LedApart {
  /** Its pool and its feed each have a way of their own. */
  led: ReplicaProcess;
  /** Its way is clear. */
  other: ReplicaProcess;
  pool: TcpProxy;
  feed: TcpProxy;
  leaseMs: number;
  stop(): Promise<void>;
}

export async function startLedApart(environment: NodeJS.ProcessEnv = {}): Promise<LedApart> {
  const variables = { CACHE_LEASE_MS: '500', ...environment };
  const other = await startReplicaProcess({ environment: variables });
  const pool = await startTcpProxy(other.databaseUrl);
  const feed = await startTcpProxy(other.databaseUrl);
  const led = await startReplicaProcess({
    beside: other,
    leadDatabase: async (url) => pool.through(url),
    leadChangeFeed: async (url) => feed.through(url),
    environment: variables,
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
