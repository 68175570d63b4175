import type { Clerk } from '../clerk/clerk.ts';
import type { Config } from '../config/config.ts';
import type { ChangeFeed } from '../database/change-feed/change-feed.ts';
import type { Janitor } from '../janitor/janitor.ts';
import type { EndingSweep } from '../organizations/ending-sweep.ts';
import type { RateLimits } from '../rate-limits/rate-limits.ts';
import type { ComposedAudit } from './audit.ts';
import type { ComposedUsage } from './usage.ts';

/** All that goes on beside the requests. */
export interface Background {
  /** Begins what has no part in the first answer; the change feed and rate limits are begun before it. */
  start(config: Pick<Config, 'usageFlushMs' | 'organizations' | 'janitorMs' | 'audit'>): void;
  /** Ends all of it, and writes what is in memory, for at most so long. The database is needed until then. */
  stop(flushLimitMs: number): Promise<void>;
}

export function joinBackground({
  clerk,
  endingSweep,
  janitor,
  changeFeed,
  rateLimits,
  usage,
  audit,
}: {
  clerk: Clerk;
  endingSweep: EndingSweep;
  janitor: Janitor;
  changeFeed: ChangeFeed | null;
  rateLimits: RateLimits;
  usage: ComposedUsage;
  audit: ComposedAudit;
}): Background {
  return {
    start(config) {
      usage.start(config.usageFlushMs);
      endingSweep.start(config.organizations.sweepMs);
      janitor.start(config.janitorMs);
      audit.start(config.audit);
    },
    async stop(flushLimitMs) {
      clerk.close();
      endingSweep.stop();
      janitor.stop();
      changeFeed?.stop();
      rateLimits.stop();
      await usage.stop(flushLimitMs);
      audit.stop();
    },
  };
}
