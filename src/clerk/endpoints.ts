import { z } from 'zod';
import type { Caller } from '../caller.ts';
import { invalidRequest } from '../errors.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { signedEvent } from './webhook.ts';
import { webhookAuthentication } from './webhook-authentication.ts';
import { EVENTS, type Meaning } from './webhook-events.ts';

/** What is done about each event that means something here. Told of one again, or late, it does no harm. */
export type EventHandlers = Record<Meaning['means'], (caller: Caller, clerkOrgId: string) => Promise<void>>;

const MESSAGES: Record<Meaning['means'], string> = {
  deleted: 'The organisation has ended.',
  lives: 'Whether the organisation has ended is looked into.',
  'members changed': 'Its members are asked for again.',
};

export function webhookEndpoints(signingSecret: string, handlers: EventHandlers): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/webhooks/clerk',
      tag: 'Webhooks',
      summary: "Clerk's events",
      description:
        '`organization.deleted` ends an organisation, and membership events refresh what is known of its members. Any ' +
        'other event is answered and means nothing here. Sent again, or out of order, none does harm.',
      authentication: webhookAuthentication(signingSecret),
      errors: ['invalid_request', 'audit_unavailable'],
      request: {
        rawBody: z.looseObject({ type: z.string(), data: z.unknown() }).meta({ description: "An event, as Clerk's." }),
      },
      responses: { 200: { description: 'It is done.', schema: z.object({ message: z.string() }) } },
      async handle(caller, { rawBody }) {
        const event = signedEvent(rawBody);
        const schema = EVENTS.get(event.type);
        if (schema === undefined) return { status: 200, body: { message: 'This event means nothing here.' } };
        const { means, clerkOrgId } = read(schema, event.data);
        await handlers[means](caller, clerkOrgId);
        return { status: 200, body: { message: MESSAGES[means] } };
      },
    }),
  ];
}

function read(schema: z.ZodType<Meaning>, data: unknown): Meaning {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw invalidRequest(
    parsed.error.issues.map(({ path }) => ({
      pointer: ['/data', ...path].join('/'),
      detail: 'is not what Clerk sends',
    })),
  );
}
