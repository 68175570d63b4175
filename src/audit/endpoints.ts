import { z } from 'zod';
import { CALLER_KINDS } from '../caller.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { instant } from '../instant.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import { cursor, encodeCursor, limit } from '../paging.ts';
import type { AuditLog } from './audit-log.ts';
import { AUDIT_ACTIONS } from './event.ts';
import type { ListedEvent } from './list-store.ts';

const kinds = Object.values(CALLER_KINDS);
const actor = z
  .string()
  .regex(
    new RegExp(`^(?:${kinds.join('|')}):.{1,255}$`, 'su'),
    `must be <kind>:<name>, with a kind of ${kinds.join(', ')}`,
  )
  .transform((text) => ({ kind: text.slice(0, text.indexOf(':')), name: text.slice(text.indexOf(':') + 1) }))
  .meta({ description: 'Who did it, as in the log: kind and name.', example: 'service:root' });

/** Whatever a later version may have recorded is shown too. */
const event = z
  .object({
    id: z.uuid(),
    clerkOrgId: z.string().nullable().meta({ description: 'null: it belongs to no organisation.' }),
    sequence: z.int().min(1).meta({ description: "Its place in its organisation's chain, from 1 and without gaps." }),
    occurredAt: z.iso.datetime(),
    actor: z.object({
      kind: z.string().meta({ description: `${kinds.join(', ')}.`, example: 'service' }),
      name: z.string().meta({ description: 'The name of a service key, or the id of an API key.', example: 'root' }),
    }),
    action: z.string().meta({ description: `${AUDIT_ACTIONS.join(', ')}.`, example: 'provider_key.revealed' }),
    target: z.object({ type: z.string().meta({ example: 'provider-key' }), id: z.string().nullable() }),
    provider: z.string().nullable().meta({ example: 'anthropic' }),
    requestId: z.string().meta({ description: 'As in the header `X-Request-Id` of the request.' }),
    address: z.string().nullable().meta({ description: 'Where the request came from.', example: '10.0.0.7' }),
    details: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]))
      .meta({ description: 'What else is to be known of the action; never a secret.', example: { version: 3 } }),
  })
  .meta({ id: 'AuditEvent' });

function toItem({
  actorKind,
  actor,
  targetType,
  targetId,
  occurredAt,
  details,
  ...rest
}: ListedEvent): z.input<typeof event> {
  return {
    ...rest,
    occurredAt: occurredAt.toISOString(),
    actor: { kind: actorKind, name: actor },
    target: { type: targetType, id: targetId },
    details: details as z.input<typeof event>['details'],
  };
}

export function auditEndpoints(log: AuditLog, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/audit-events',
      tag: 'Audit',
      summary: 'Who changed and revealed what',
      description:
        'Newest first. Without `clerkOrgId` those of all organisations, and those that belong to none. They are shown as ' +
        'they are stored: `key-service audit verify` tells whether somebody has altered them.',
      authentication: service('audit:read'),
      request: {
        query: z.object({
          clerkOrgId: clerkOrgId.optional(),
          action: z.enum(AUDIT_ACTIONS).optional(),
          actor: actor.optional(),
          since: instant.optional().meta({ description: 'The first instant.', example: '2030-01-01T00:00:00Z' }),
          until: instant.optional().meta({ description: 'The first instant that is left out.' }),
          limit: limit.optional().meta({ description: '50 without it.' }),
          cursor: cursor.optional(),
        }),
      },
      responses: {
        200: {
          description: 'The events.',
          schema: z.object({ events: z.array(event), nextCursor: z.string().nullable() }),
        },
      },
      async handle(caller, { query }) {
        const { clerkOrgId, action, actor, since, until, limit } = query;
        const { events, next } = await log.list(
          caller,
          { clerkOrgId, action, actor, since, until },
          { after: query.cursor ?? null, limit },
        );
        return {
          status: 200,
          body: { events: events.map(toItem), nextCursor: encodeCursor(next) },
        };
      },
    }),
  ];
}
