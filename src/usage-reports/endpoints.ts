import { z } from 'zod';
import { keyNotFound, requireUuid } from '../api-keys/not-found.ts';
import { idOfKey } from '../api-keys/schemas.ts';
import { invalidRequest } from '../errors.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { instant } from '../instant.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import { type AskedRange, BUCKETS, LONGEST_DAYS, type Range, rangeOf } from './range.ts';
import type { UsageReport, UsageReports } from './usage-reports.ts';

const range = z.object({
  since: instant.optional().meta({
    description: 'The first instant. Without it the last 24 hours or 30 days up to `until`, the current one included.',
    example: '2030-01-01T00:00:00Z',
  }),
  until: instant.optional().meta({ description: 'The first instant that is left out; now without it.' }),
  bucket: z
    .enum(BUCKETS)
    .default('hour')
    .meta({
      description: `A clock hour or a calendar day, in UTC. At most ${LONGEST_DAYS.hour} days of hours, ${LONGEST_DAYS.day} of days.`,
    }),
});

const uses = {
  total: z.int().meta({ description: 'The sum of the outcomes.' }),
  outcomes: z.record(z.string(), z.int()).meta({
    description: 'How often each came up: `valid`, or the `code` that refused the key. The others are left out.',
    example: { valid: 1203, api_key_expired: 4 },
  }),
};

const report = z
  .object({
    bucket: z.enum(BUCKETS),
    since: z.iso.datetime().meta({ description: 'When the first bucket begins.' }),
    until: z.iso.datetime().meta({ description: 'When the last one ends.' }),
    ...uses,
    buckets: z
      .array(z.object({ start: z.iso.datetime(), ...uses }))
      .meta({ description: 'In their order. Those without any use are left out.' }),
  })
  .meta({ id: 'Usage' });

const DESCRIPTION =
  'By hour or day, and by outcome. `since` and `until` are widened to whole buckets; the answer says to what. What was used ' +
  'in the last seconds (`USAGE_FLUSH_MS`) may not be counted yet.';

/** @throws ServiceError `invalid_request` */
function requireRange({ bucket, since, until }: AskedRange): Range {
  const range = rangeOf({ bucket, since, until }, Date.now());
  if (range === 'ends before it begins') {
    const pointer = until === undefined ? '/since' : '/until';
    throw invalidRequest([{ pointer, detail: 'must leave some time between since and until' }]);
  }
  if (range === 'ends too late') {
    throw invalidRequest([{ pointer: '/until', detail: `must not be within the last ${bucket} of the year 9999` }]);
  }
  if (range === 'too long') {
    const detail = `must be at most ${LONGEST_DAYS[bucket]} days before until where bucket is ${bucket}`;
    throw invalidRequest([{ pointer: '/since', detail }]);
  }
  return range;
}

function toBody({ range: { bucket, since, until }, total, outcomes, buckets }: UsageReport): z.input<typeof report> {
  return {
    bucket,
    since: since.toISOString(),
    until: until.toISOString(),
    total,
    outcomes,
    buckets: buckets.map(({ start, ...uses }) => ({ start: start.toISOString(), ...uses })),
  };
}

export function usageEndpoints(reports: UsageReports, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/api-keys/:id/usage',
      tag: 'API keys',
      summary: 'How often an API key was used, and what became of it',
      description: DESCRIPTION,
      authentication: service('api-keys:read'),
      errors: ['api_key_not_found'],
      request: { params: z.object({ id: idOfKey }), query: range.extend({ clerkOrgId }) },
      responses: { 200: { description: 'The counts.', schema: report } },
      async handle(caller, { params: { id }, query: { clerkOrgId, bucket, since, until } }) {
        const range = requireRange({ bucket, since, until });
        requireUuid(id);
        const report = await reports.ofKey(caller, clerkOrgId, id, range);
        return { status: 200, body: toBody(report ?? keyNotFound()) };
      },
    }),
    endpoint({
      method: 'get',
      path: '/internal/organizations/:clerkOrgId/usage',
      tag: 'Organisations',
      summary: "How often an organisation's API keys were used, and what became of it",
      description: `${DESCRIPTION} An organisation that is not known here has no counts; one that has ended keeps its own.`,
      authentication: service('api-keys:read'),
      request: { params: z.object({ clerkOrgId }), query: range },
      responses: { 200: { description: 'The counts of all keys that it ever had.', schema: report } },
      async handle(caller, { params, query: { bucket, since, until } }) {
        const range = requireRange({ bucket, since, until });
        return { status: 200, body: toBody(await reports.ofOrganization(caller, params.clerkOrgId, range)) };
      },
    }),
  ];
}
