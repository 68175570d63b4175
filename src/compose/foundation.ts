import type { Config, Secrets } from '../config/config.ts';
import type { DatabaseServers } from '../database/reach.ts';
import type { Keyring } from '../encryption/keyring.ts';
import type { ExpressPrototypes } from '../http/express-prototypes.ts';
import type { ErrorMonitor } from '../observability/error-monitor.ts';
import type { Logger } from '../observability/logger.ts';
import type { ProviderChecker } from '../providers/provider-checker.ts';

/** What is there before the rooms are joined. */
export interface Foundation {
  config: Config;
  secrets: Secrets;
  logger: Logger;
  monitor: ErrorMonitor;
  servers: DatabaseServers;
  keyring: Keyring;
  /** For tests alone: asks providers in place of the real one. */
  checker?: ProviderChecker | undefined;
  /** For tests alone. */
  expressPrototypes?: ExpressPrototypes;
}
