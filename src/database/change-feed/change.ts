/** The channel that migrations/0001_announce_changes.sql announces changes on. */
export const CHANGES_CHANNEL = 'key_service_changes';

/** Something that changed what a validation or a reveal would answer. */
export type Change =
  | { kind: 'api-key-created' | 'api-key-changed' | 'api-key-revoked'; keyHash: string }
  | { kind: 'organization-changed'; organizationId: string }
  | { kind: 'everything-changed' };

/** The SHA-256 of an API key as memory knows it: a character for each byte, half the size of its hexadecimal form. */
export function keyHashOf(sha256: Buffer): string {
  return sha256.toString('latin1');
}

/** Reads a notification. One that is not understood, a later version's perhaps, may mean anything: everything changed. */
export function parseChange(payload: string): Change {
  const [subject, verb, name] = payload.split(' ');
  if (subject === 'api-key' && name !== undefined && (verb === 'created' || verb === 'changed' || verb === 'revoked')) {
    return { kind: `api-key-${verb}`, keyHash: keyHashOf(Buffer.from(name, 'base64')) };
  }
  if (subject === 'organization' && verb === 'changed' && name !== undefined) {
    return { kind: 'organization-changed', organizationId: name };
  }
  return { kind: 'everything-changed' };
}

/** The name by which memory knows what changed; null when that is everything. */
export function subjectOf(change: Change): string | null {
  switch (change.kind) {
    case 'organization-changed':
      return change.organizationId;
    case 'everything-changed':
      return null;
    default:
      return change.keyHash;
  }
}
