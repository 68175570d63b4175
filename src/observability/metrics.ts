import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { PoolState } from '../database/database.ts';
import { CacheMetrics } from './cache-metrics.ts';

/** From a cached answer to the limits of a request whose dependency is gone, in seconds. */
const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** All that the service counts. No organisation, key or caller is ever a label: there is no end to them. */
export class Metrics {
  readonly registry = new Registry();
  readonly requestDuration = new Histogram({
    name: 'key_service_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });
  readonly refusedRequests = new Counter({
    name: 'key_service_http_refused_total',
    help: 'What was not even a request: headers too large or too slow, malformed HTTP',
    labelNames: ['status'] as const,
    registers: [this.registry],
  });
  readonly validations = new Counter({
    name: 'key_service_validations_total',
    help: 'Keys that were validated, alone or with others: valid, or the code of the problem',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly guessesRefused = new Counter({
    name: 'key_service_guesses_refused_total',
    help: 'Keys that nobody issued, refused because too many of them came from one client',
    registers: [this.registry],
  });
  readonly changeFeedProbe = new Histogram({
    name: 'key_service_change_feed_probe_seconds',
    help: 'Time for a notification to come back through the change feed: how late this replica learns of a revocation',
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });
  readonly changes = new Counter({
    name: 'key_service_changes_total',
    help: 'Changes that this replica learned of, its own included, by kind',
    labelNames: ['kind'] as const,
    registers: [this.registry],
  });
  readonly clerkCalls = new Counter({
    name: 'key_service_clerk_calls_total',
    help: 'Questions to Clerk by outcome; refused ones were not sent, because the breaker was open',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly clerkBreakerOpen = new Gauge({
    name: 'key_service_clerk_breaker_open',
    help: '1 while Clerk is failing and is left alone',
    aggregator: 'max', // of several workers
    registers: [this.registry],
  });
  readonly unreadableSecrets = new Counter({
    name: 'key_service_unreadable_secrets_total',
    help: 'Stored secrets that were met and did not open',
    registers: [this.registry],
  });
  readonly providerChecks = new Counter({
    name: 'key_service_provider_checks_total',
    help: 'Questions to providers whether a key is good, by outcome',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly auditEvents = new Counter({
    name: 'key_service_audit_events_total',
    help: 'Events of the audit log: written, or failed, so that nothing was revealed or changed',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly auditBatch = new Histogram({
    name: 'key_service_audit_batch_size',
    help: 'Reveals that shared one commit',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers: [this.registry],
  });
  readonly auditWait = new Histogram({
    name: 'key_service_audit_wait_seconds',
    help: 'Time that a reveal waited until its event was durable',
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });
  readonly keyedRequests = new Counter({
    name: 'key_service_idempotent_requests_total',
    help: 'Requests with an Idempotency-Key: answered, replayed, or refused because the key was reused or is in use',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly sweptRows = new Counter({
    name: 'key_service_swept_rows_total',
    help: 'Rows that had expired and were removed, by what they were',
    labelNames: ['what'] as const,
    registers: [this.registry],
  });

  readonly uncountedUses = new Counter({
    name: 'key_service_usage_uncounted_total',
    help: 'Uses of API keys that were not counted, because too much waited to be written already',
    registers: [this.registry],
  });

  readonly caches = new CacheMetrics(this.registry);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  watchPool(state: () => PoolState): void {
    new Gauge({
      name: 'key_service_database_pool_connections',
      help: 'Connections of the pool by state',
      labelNames: ['state'] as const,
      registers: [this.registry],
      collect() {
        const { total, idle } = state();
        this.set({ state: 'busy' }, total - idle);
        this.set({ state: 'idle' }, idle);
      },
    });
    new Gauge({
      name: 'key_service_database_pool_waiting',
      help: 'Trips to the database that wait for a connection',
      registers: [this.registry],
      collect() {
        this.set(state().waiting);
      },
    });
  }

  watchLease(isHeld: () => boolean): void {
    new Gauge({
      name: 'key_service_change_feed_lease_held',
      help: '1 while this replica may answer from memory; of workers, while all may',
      aggregator: 'min',
      registers: [this.registry],
      collect() {
        this.set(isHeld() ? 1 : 0);
      },
    });
  }

  watchRedis(isThere: () => boolean): void {
    new Gauge({
      name: 'key_service_redis_up',
      help: '1 while rate limits are counted in Redis; of workers, while all count there',
      aggregator: 'min',
      registers: [this.registry],
      collect() {
        this.set(isThere() ? 1 : 0);
      },
    });
  }
}
