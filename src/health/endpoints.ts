import { z } from 'zod';
import { type Endpoint, endpoint, everyone } from '../http/endpoint.ts';
import type { Health } from './health.ts';

const liveness = z.object({
  status: z.literal('ok'),
  service: z.literal('key-service'),
  timestamp: z.iso.datetime(),
});

const check = z.enum(['ok', 'unavailable', 'disabled']);
const readiness = z.object({
  status: z.enum(['ok', 'unavailable']),
  checks: z.object({ database: check, migrations: check, encryptionKey: check, changeFeed: check, clerk: check }),
});

export function healthEndpoints(health: Health): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/health',
      tag: 'Health',
      summary: 'Whether the process lives',
      description: 'Touches nothing else: for liveness probes.',
      authentication: everyone,
      request: {},
      responses: { 200: { description: 'It does.', schema: liveness } },
      async handle() {
        const alive = { status: 'ok', service: 'key-service' } as const;
        return { status: 200, body: { ...alive, timestamp: new Date().toISOString() } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/health/ready',
      tag: 'Health',
      summary: 'Whether this replica can do its work',
      description: '`clerk` is shown and never makes it 503, nor does a master key that is out of reach.',
      authentication: everyone,
      request: {},
      responses: {
        200: { description: 'Send it requests.', schema: readiness },
        503: { description: 'Send it none for now.', schema: readiness },
      },
      async handle() {
        const body = await health.readiness();
        return body.status === 'ok' ? { status: 200, body } : { status: 503, body, headers: { 'Retry-After': '1' } };
      },
    }),
  ];
}
