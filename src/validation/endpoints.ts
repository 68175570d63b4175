import { z } from 'zod';
import { environment, json, remainingUses, scope } from '../api-keys/schemas.ts';
import { type ClientAuthentication, type Endpoint, endpoint } from '../http/endpoint.ts';
import type { Membership } from '../organizations/membership.ts';
import type { Admissions } from './admissions.ts';
import { admission } from './client-authentication.ts';
import type { KeyHolder } from './key-holder.ts';
import { ADMISSION_REFUSALS } from './refusal.ts';
import type { KeyValidation } from './validation.ts';

/** A parameter that may be repeated is one string or several. */
const requiredScopes = z
  .union([scope.transform((one) => [one]), z.array(scope)], 'must be a scope, such as read:orders')
  .optional()
  .meta({ description: 'Scopes that the key must have, all of them; repeatable.' });

/** Of a good key. */
export const validation = z.object({
  valid: z.literal(true),
  orgId: z.uuid(),
  clerkOrgId: z.string(),
  clerkUserId: z
    .string()
    .nullable()
    .meta({ description: "The organisation's only member, per Clerk; null when it has none or more than one." }),
  configuredProviders: z
    .array(z.string())
    .meta({ description: "Providers with a stored key of the organisation's own, sorted." }),
  membership: z.enum(['fresh', 'stale', 'unavailable', 'disabled']),
  apiKey: z.object({
    id: z.uuid(),
    name: z.string().nullable(),
    environment,
    scopes: z.array(z.string()).nullable(),
    metadata: z.record(z.string(), json),
    expiresAt: z.iso.datetime().nullable(),
    remainingUses: remainingUses.optional().meta({ description: 'After this use. Only of a key with a usage limit.' }),
  }),
});

export function validationEndpoint(
  keys: KeyValidation,
  admissions: Admissions,
  client: ClientAuthentication<KeyHolder>,
): Endpoint {
  return endpoint({
    method: 'get',
    path: '/validate',
    tag: 'Validation',
    summary: 'Whether an API key is good, and whose it is',
    description:
      'Clerk in trouble never makes a valid key invalid: `membership` says how far `clerkUserId` is to be trusted. ' +
      'With HEAD as well, it is a use of a key that has only so many.',
    authentication: { ...client(null), ...admission(admissions) },
    errors: ADMISSION_REFUSALS,
    request: { query: z.object({ scope: requiredScopes }) },
    responses: { 200: { description: 'It is good.', schema: validation } },
    handle(holder) {
      const answer = (membership: Membership) => ({
        status: 200 as const,
        body: holder.known.answer(membership, holder.remainingUses),
      });
      const membership = keys.membershipOf(holder);
      return membership instanceof Promise ? membership.then(answer) : answer(membership);
    },
  });
}
