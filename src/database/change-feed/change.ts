/** The channel that the database's triggers announce changes on; migrations/0001_announce_changes.sql has the first. */
export const CHANGES_CHANNEL = 'key_service_changes';

/** A key of a customer's, or of one of the platform's services. */
type KeyOf = 'api-key' | 'service-key';

/**
 * Something that changed what a validation or a reveal would answer, or who may ask for one, or that no memory may hold any
 * longer.
 */
export type Change =
  | { kind: `${KeyOf}-${'created' | 'changed' | 'revoked'}`; keyHash: string }
  | { kind: 'organization-changed'; organizationId: string }
  | { kind: 'data-key-removed'; dataKeyId: string }
  | { kind: 'membership-changed'; clerkOrgId: string }
  /** Nothing of it is remembered: only services are handed it, and each time it is read. */
  | { kind: 'platform-key-changed'; provider: string }
  /** For whom secrets are revealed, of any organisation or everywhere. */
  | { kind: 'reveal-freezes-changed' }
  | { kind: 'everything-changed' };

/** The name by which memory knows what is frozen. */
export const REVEAL_FREEZES = 'reveal-freezes';

/** The SHA-256 of a key as memory knows it: a character for each byte, half the size of its hexadecimal form. */
export function keyHashOf(sha256: Buffer): string {
  return sha256.toString('latin1');
}

const KEY = /^(api-key|service-key) (created|changed|revoked) ([A-Za-z0-9+/]{43}=)$/;
const MEMBERSHIP_CHANGED = 'membership changed ';
const MEMBERSHIP = new RegExp(`^${MEMBERSHIP_CHANGED}(\\S{1,255})$`);
const DATA_KEY = /^data-key removed ([0-9a-f-]{36})$/;
const PLATFORM_KEY = /^platform-key changed ([a-z0-9][a-z0-9-]{0,62})$/;
const REVEAL_FREEZES_CHANGED = 'reveal-freezes changed';
const ORGANIZATION = /^organization changed ([0-9a-f-]{36})$/;

/** Reads a notification. One that is not understood, a later version's perhaps, may mean anything: everything changed. */
export function parseChange(payload: string): Change {
  if (payload === REVEAL_FREEZES_CHANGED) return { kind: 'reveal-freezes-changed' };
  const [, whose, verb, hash] = KEY.exec(payload) ?? [];
  if (hash !== undefined) {
    return {
      kind: `${whose as KeyOf}-${verb as 'created' | 'changed' | 'revoked'}`,
      keyHash: keyHashOf(Buffer.from(hash, 'base64')),
    };
  }
  const [, dataKeyId] = DATA_KEY.exec(payload) ?? [];
  if (dataKeyId !== undefined) return { kind: 'data-key-removed', dataKeyId };
  const [, clerkOrgId] = MEMBERSHIP.exec(payload) ?? [];
  if (clerkOrgId !== undefined) return { kind: 'membership-changed', clerkOrgId };
  const [, provider] = PLATFORM_KEY.exec(payload) ?? [];
  if (provider !== undefined) return { kind: 'platform-key-changed', provider };
  const [, organizationId] = ORGANIZATION.exec(payload) ?? [];
  return organizationId === undefined
    ? { kind: 'everything-changed' }
    : { kind: 'organization-changed', organizationId };
}

/** The one change that no trigger sees, because it is one at Clerk. */
export function membershipChange(clerkOrgId: string): string {
  return MEMBERSHIP_CHANGED + clerkOrgId;
}

/** The name by which memory knows what changed; null when that is everything. */
export function subjectOf(change: Change): string | null {
  switch (change.kind) {
    case 'organization-changed':
      return change.organizationId;
    case 'data-key-removed':
      return change.dataKeyId;
    case 'membership-changed':
      return change.clerkOrgId;
    case 'platform-key-changed':
      return `platform-key ${change.provider}`;
    case 'reveal-freezes-changed':
      return REVEAL_FREEZES;
    case 'everything-changed':
      return null;
    default:
      return change.keyHash;
  }
}
