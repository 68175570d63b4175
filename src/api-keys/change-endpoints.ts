import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { ifMatch } from '../http/if-match.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import type { KeyRotations } from './key-rotations.ts';
import type { KeyUpdates } from './key-updates.ts';
import {
  apiKeyDetails,
  apiKeyItem,
  etagOf,
  idOfKey,
  issuedKey,
  messageOf,
  name,
  toDetails,
  toItem,
} from './schemas.ts';
import { settings } from './settings.ts';

const LONGEST_GRACE_SECONDS = 365 * 24 * 60 * 60;

const gracePeriodSeconds = z
  .int({ abort: true })
  .min(0, 'must be 0 or more')
  .max(LONGEST_GRACE_SECONDS, `must be at most ${LONGEST_GRACE_SECONDS}, a year`)
  .meta({ description: 'How long the old key goes on beside the new one. 0: it is revoked at once.' });

/** Tags that are no revision are of no revision that there is. */
const revisionsOf = (tags: readonly string[] | null | undefined) =>
  tags?.filter((tag) => /^[1-9]\d{0,9}$/.test(tag)).map(Number) ?? null;

/** What becomes of a key once it is issued. */
export function apiKeyChangeEndpoints(
  { updates, rotations }: { updates: KeyUpdates; rotations: KeyRotations },
  service: ServiceAuthentication,
): Endpoint[] {
  return [
    endpoint({
      method: 'patch',
      path: '/internal/api-keys/:id',
      tag: 'API keys',
      summary: 'Change the settings of an API key',
      description:
        'What is left out stays, null clears, a value sets; `metadata` and lists are set as a whole. What is so already is no change. ' +
        '`remainingUses` sets how many are left from then on, also for the key that took its place or whose place it took; ' +
        'null takes the limit away with its refill, of this key alone. ' +
        'With `If-Match` nothing is changed unless the item still has that `ETag`. Only the root caller may set `scopes` ' +
        'to null where there was a list.',
      authentication: service('api-keys:write'),
      errors: [
        'api_key_not_found',
        'organization_deleted',
        'api_key_ended',
        'api_key_rotated',
        'precondition_failed',
        'audit_unavailable',
      ],
      request: {
        params: z.object({ id: idOfKey }),
        headers: z.object({ 'If-Match': ifMatch.optional() }),
        body: z.strictObject({
          clerkOrgId,
          name: name.nullish(),
          enabled: z.boolean().optional(),
          ...settings,
        }),
      },
      responses: {
        200: { description: 'The item as it is now, with its revision as ETag.', etag: true, schema: apiKeyDetails },
      },
      async handle(caller, { params: { id }, headers, body: { clerkOrgId, ...wanted } }) {
        const which = { clerkOrgId, id, revisions: revisionsOf(headers['If-Match']) };
        const apiKey = await updates.update(caller, which, {
          ...wanted,
          metadata: wanted.metadata === null ? {} : wanted.metadata,
        });
        return { status: 200, body: toDetails(apiKey), headers: etagOf(apiKey) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/internal/api-keys/:id/rotate',
      tag: 'API keys',
      summary: 'Let a new API key take the place of an old one',
      description:
        'The new key has all settings of the old one, which stops `gracePeriodSeconds` from now or at its own expiry, ' +
        'whichever comes first. The new key of a recoverable one is recoverable, the old one no longer. A key is rotated ' +
        'once; next comes the one that took its place. What is left of its uses is left to both together.',
      authentication: service('api-keys:write'),
      errors: [
        'api_key_not_found',
        'organization_deleted',
        'api_key_ended',
        'api_key_rotated',
        'encryption_unavailable',
        'audit_unavailable',
      ],
      idempotent: true,
      showsKey: true,
      request: {
        params: z.object({ id: idOfKey }),
        body: z.strictObject({ clerkOrgId, gracePeriodSeconds: gracePeriodSeconds.default(0) }),
      },
      responses: {
        201: {
          description: 'The new key, in `key`, and the old one as it is from now on.',
          schema: issuedKey.extend({ previous: apiKeyItem }),
        },
      },
      handle(caller, { params: { id }, body: { clerkOrgId, gracePeriodSeconds: graceSeconds } }, answering) {
        return rotations.rotate(
          caller,
          { clerkOrgId, id, graceSeconds },
          answering(({ key, apiKey, previous }) => ({
            status: 201,
            body: { ...toItem(apiKey), key, message: messageOf(apiKey), previous: toItem(previous) },
          })),
        );
      },
    }),
  ];
}
