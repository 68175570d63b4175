import { revokeLeakedApiKeys } from '../api-keys/leaked-store.ts';
import type { Audit } from '../audit/audit.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Endpoint, ServiceAuthentication } from '../http/endpoint.ts';
import { leakReportEndpoints } from '../leak-reports/endpoints.ts';
import { LeakReports } from '../leak-reports/leak-reports.ts';
import type { Logger } from '../observability/logger.ts';
import { revokeLeakedServiceKeys } from '../service-keys/leaked-store.ts';

/** Reports of leaked keys, joined with the rooms whose keys they are. */
export function composeLeakReports({
  audit,
  changes,
  isRootKey,
  service,
  logger,
}: {
  audit: Audit;
  changes: Changes;
  isRootKey: (key: string) => boolean;
  service: ServiceAuthentication;
  logger: Logger;
}): Endpoint[] {
  const leakReports = new LeakReports({
    audit,
    changes,
    revokeApiKeys: revokeLeakedApiKeys,
    revokeServiceKeys: revokeLeakedServiceKeys,
    isRootKey,
    onRootKeyLeaked: (requestId) =>
      logger.error({ requestId }, 'the root key was reported as found in public: rotate KEY_SERVICE_API_KEY now'),
  });
  return leakReportEndpoints(leakReports, service);
}
