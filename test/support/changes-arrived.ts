import { expect } from 'vitest';
import { metricsOf } from './metrics.ts';
import type { TestService } from './service.ts';

/**
 * Resolves when the service has been told of every change that was committed so far, for it is told in that order. It
 * remembers nothing then; what it is asked for next, nothing but a new change makes it forget. It needs METRICS_PORT.
 */
export async function changesArrived(service: TestService): Promise<void> {
  const told = async () =>
    (await metricsOf(service)).value('key_service_changes_total', { kind: 'everything-changed' }) ?? 0;
  const before = await told();
  await service.sql("select pg_notify('key_service_changes', 'everything changed')");
  await expect.poll(told, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before);
}
