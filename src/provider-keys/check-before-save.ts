import type { Audit } from '../audit/audit.ts';
import type { ServiceCaller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { ProviderChecker } from '../providers/provider-checker.ts';
import { ask, QUESTION_SHARE_MS } from './key-check.ts';
import { type KeyState, UNCHECKED } from './key-state.ts';
import { ensureOwner, type Owner } from './owner.ts';
import { findRowId } from './provider-key-store.ts';
import { type beginChange, DATABASE_SHARE_MS } from './version-writer.ts';

interface Dependencies {
  database: Database;
  audit: Audit;
  checker: ProviderChecker;
}

/**
 * What a provider says of a secret that is not stored yet. That the provider gets it is recorded before: as a reveal, and
 * of no version, since nobody has looked whether it is one that is kept. An organisation is made known for that, because
 * the record is its own; one that has ended is refused before anybody is asked.
 *
 * @throws ServiceError `organization_deleted`; `audit_unavailable` when it could not be recorded
 */
export async function askBeforeSave(
  { database, audit, checker }: Dependencies,
  caller: ServiceCaller,
  { owner, provider, secret }: { owner: Owner; provider: string; secret: string },
  msLeft: ReturnType<typeof beginChange>,
): Promise<KeyState> {
  // Its secret is revealed to nobody, and no record may say that it was.
  if (!checker.canBeAsked(provider, secret)) return UNCHECKED;
  const recordInMs = () => msLeft(QUESTION_SHARE_MS + DATABASE_SHARE_MS);
  const { organizationId, id } = await database.query(async (queries) => {
    const organizationId = await ensureOwner(queries, owner);
    return { organizationId, id: await findRowId(queries, { organizationId }, provider) };
  }, recordInMs());
  const source = organizationId === null ? 'platform' : 'own';
  const event = {
    organizationId,
    action: 'provider_key.revealed',
    target: { type: 'provider-key', id: id ?? null },
    provider,
    details: { version: null, source, to: 'provider' },
  } as const;
  await audit.reveal(caller, event, recordInMs());
  const { state } = await ask(checker, { provider, secret }, msLeft(DATABASE_SHARE_MS));
  return state;
}
