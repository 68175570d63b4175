import { isDeepStrictEqual } from 'node:util';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry, Details } from '../audit/event.ts';
import type { ServiceCaller } from '../caller.ts';
import { keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import { ServiceError } from '../errors.ts';
import { rateLimitText } from '../rate-limits/rate-limit.ts';
import { requireFuture } from '../require-future.ts';
import type { ApiKeySettings, UsedApiKey } from './api-key.ts';
import { findApiKey } from './api-key-store.ts';
import { updateApiKey } from './change-store.ts';
import { holdApiKey } from './held-key.ts';
import { keyNotFound, requireUuid } from './not-found.ts';
import { limitDetails, requireLimitToRefill } from './usage-limit.ts';

/** A key to change, and the revisions of which it must have one; null: whatever it has. */
export interface KeyToUpdate {
  clerkOrgId: string;
  id: string;
  revisions: readonly number[] | null;
}

/** What is undefined stays. */
export type WantedSettings = { [Name in keyof ApiKeySettings]?: ApiKeySettings[Name] | undefined };

/** Changes the settings of API keys. */
export class KeyUpdates {
  readonly #audit: Audit;
  readonly #changes: Changes;

  constructor(audit: Audit, changes: Changes) {
    this.#audit = audit;
    this.#changes = changes;
  }

  /**
   * What is as wanted already is no change, and raises no revision. Once it is answered this replica validates by the new
   * settings; the others do as soon as after a revocation.
   *
   * @throws ServiceError `api_key_not_found`, `organization_deleted`, `api_key_ended` for a key that was revoked,
   * `precondition_failed`, `invalid_request` for a refill of a key without a limit and an expiry that has passed,
   * `api_key_rotated` where one that was rotated would stop later, or `service_key_forbidden` where a list of scopes would
   * become null and the caller is not root
   */
  async update(
    caller: ServiceCaller,
    { clerkOrgId, id, revisions }: KeyToUpdate,
    wanted: WantedSettings,
  ): Promise<UsedApiKey> {
    requireUuid(id);
    requireFuture([{ pointer: '/expiresAt', instant: wanted.expiresAt }]);
    const { apiKey, keyHash } = await this.#audit.change(caller, async (queries) => {
      const before = await holdApiKey(queries, clerkOrgId, id);
      if (revisions !== null && !revisions.includes(before.revision)) throw moved(before.revision);
      requireLimitToRefill(wanted, before.remainingUses);
      const changes = differences(before, withoutLimit(wanted));
      if (changes.scopes === null) requireRoot(caller);
      if (before.rotatedTo !== null) requireNoLater(before.expiresAt, changes.expiresAt);
      const names = Object.keys(changes);
      if (names.length > 0) await updateApiKey(queries, before, changes);
      const apiKey = (await findApiKey(queries, clerkOrgId, id)) ?? keyNotFound();
      const { organizationId, keyHash } = before;
      const event: AuditEntry = {
        organizationId,
        action: 'api_key.updated',
        target: { type: 'api-key', id: before.id },
        details: { revision: apiKey.revision, ...detailsOf(changes) },
      };
      return { result: { apiKey, keyHash }, events: names.length === 0 ? [] : [event] };
    });
    this.#changes.announce({ kind: 'api-key-changed', keyHash: keyHashOf(keyHash) });
    return apiKey;
  }
}

function differences(before: ApiKeySettings, wanted: WantedSettings): Partial<ApiKeySettings> {
  const differs = (name: keyof ApiKeySettings) =>
    wanted[name] !== undefined && !isDeepStrictEqual(wanted[name], before[name]);
  const names = (Object.keys(wanted) as (keyof ApiKeySettings)[]).filter(differs);
  return Object.fromEntries(names.map((name) => [name, wanted[name]]));
}

/** A limit that is taken away takes its refill with it. */
function withoutLimit(wanted: WantedSettings): WantedSettings {
  return wanted.remainingUses === null ? { ...wanted, refill: null } : wanted;
}

/** Which settings changed, and to what where that decides about the key: name and metadata may be anything. */
function detailsOf(changes: Partial<ApiKeySettings>): Details {
  const { enabled, expiresAt, scopes, ipAllowList, rateLimit } = changes;
  return {
    changed: Object.keys(changes).sort(),
    ...(enabled === undefined ? {} : { enabled }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt?.toISOString() ?? null }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(rateLimit === undefined ? {} : { rateLimit: rateLimitText(rateLimit) }),
    ...limitDetails(changes),
    ...(ipAllowList === undefined ? {} : { ipAllowList }),
  };
}

/** What was rotated has its end: a form that was filled in before must not bring it back. */
function requireNoLater(before: Date | null, wanted: Date | null | undefined): void {
  if (wanted === undefined || (wanted !== null && before !== null && wanted <= before)) return;
  throw new ServiceError('api_key_rotated', 'This API key was rotated; it can be made to stop earlier, and not later.');
}

function moved(revision: number): ServiceError {
  return new ServiceError(
    'precondition_failed',
    'This API key has another revision than If-Match asks for: somebody has changed it meanwhile.',
    { context: { revision } },
  );
}

/** Unrestricted may do everything that any scope ever means, revealing provider keys included. */
function requireRoot({ permissions }: ServiceCaller): void {
  if (permissions === null) return;
  throw new ServiceError(
    'service_key_forbidden',
    'Only the root caller may make an API key that has scopes unrestricted again.',
  );
}
