import { Audit } from '../audit/audit.ts';
import { MovedHeads } from '../audit/moved-heads.ts';
import { type CutReport, Retention } from '../audit/retention.ts';
import type { Config } from '../config/config.ts';
import { AuditKeys } from '../data-keys/audit-keys.ts';
import type { DataKeys } from '../data-keys/data-keys.ts';
import type { Database } from '../database/database.ts';
import { describeError } from '../observability/describe-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

export interface ComposedAudit {
  audit: Audit;
  /** What it signs with. */
  keys: AuditKeys;
  /** Begins what runs in the background. */
  start(config: Config['audit']): void;
  /** Ends it, and tells of the heads that were not yet told of. */
  stop(): void;
}

/** The audit joined with what it tells to the log and to the metrics. */
export function composeAudit({
  database,
  dataKeys,
  logger,
  metrics,
}: {
  database: Database;
  dataKeys: DataKeys;
  logger: Logger;
  metrics: Metrics;
}): ComposedAudit {
  const keys = new AuditKeys(database, dataKeys);
  const heads = new MovedHeads((moved) => logger.info({ heads: moved }, 'audit heads'));
  const audit = new Audit({
    database,
    keys,
    heads,
    onBatch: (events) => metrics.auditBatch.observe(events),
    onEvents: (outcome, events) => metrics.auditEvents.inc({ outcome }, events),
    onWaited: (waitedMs) => metrics.auditWait.observe(waitedMs / 1000),
    onHeadless: (chain) =>
      logger.error({ chain }, 'an audit chain has no head: it was deleted; nothing can be recorded'),
  });
  const retention = new Retention(audit, keys);
  const tellOfCut = ({ chains, events, faults }: CutReport) => {
    if (events > 0) logger.info({ chains, events }, 'old audit events were cut');
    for (const { chain, fault } of faults) {
      logger.error({ chain, fault }, 'an audit chain does not verify, and is not cut');
    }
  };

  return {
    audit,
    keys,
    start({ retentionDays, headsLogMs }) {
      heads.start(headsLogMs);
      if (retentionDays === null) return;
      retention.start(retentionDays, {
        done: tellOfCut,
        failed: (error) => logger.warn({ error: describeError(error) }, 'old audit events could not be cut'),
      });
    },
    stop() {
      retention.stop();
      heads.stop();
    },
  };
}
