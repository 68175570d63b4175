import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Caller, ServiceCaller } from '../caller.ts';
import { type Change, keyHashOf } from '../database/change-feed/change.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Queries } from '../database/queries.ts';
import { hashKey, keysIn } from '../key-format.ts';

/** A key that was good until it was reported. */
export interface LeakedKey {
  id: string;
  /** null for a service key: a service belongs to no organisation. */
  organizationId: string | null;
  keyHash: Buffer;
}

/** Revokes those of these keys that are not revoked yet, in the transaction that it is handed. */
export type RevokeLeaked = (queries: Queries, keyHashes: readonly Buffer[]) => Promise<LeakedKey[]>;

export interface LeakReport {
  /** As they were found in public: keys, or texts that have keys in them. */
  strings: readonly string[];
  source: string;
  url: string | null;
}

interface Dependencies {
  audit: Audit;
  changes: Changes;
  revokeApiKeys: RevokeLeaked;
  revokeServiceKeys: RevokeLeaked;
  isRootKey: (key: string) => boolean;
  /** Told when a root key was found in public: it is configured, and nobody here can revoke it. */
  onRootKeyLeaked: (requestId: string) => void;
}

const HIDDEN = '…';
/** What is shorter is no secret, and may be a part of any word. */
const SHORTEST_HIDDEN = 8;

/** Takes what somebody has found in public, and revokes those of it that are keys of this service. */
export class LeakReports {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Nobody learns which of the strings were keys: whoever reports them need not be told what else can be tried. The audit
   * has it.
   *
   * @throws ServiceError `database_unavailable`, `audit_unavailable`
   */
  async take(caller: ServiceCaller, report: LeakReport): Promise<void> {
    const { audit, changes, revokeApiKeys, revokeServiceKeys } = this.#dependencies;
    const candidates = candidatesIn(report.strings);
    this.#tellOfRootKeys(caller, candidates);
    const hashes = candidates.map(hashKey);
    const found = foundIn(report, candidates);
    const revoked = await audit.change(caller, async (queries) => {
      const apiKeys = await revokeApiKeys(queries, hashes);
      const serviceKeys = await revokeServiceKeys(queries, hashes);
      const result: Change[] = [
        ...apiKeys.map(({ keyHash }) => ({ kind: 'api-key-revoked', keyHash: keyHashOf(keyHash) }) as const),
        ...serviceKeys.map(({ keyHash }) => ({ kind: 'service-key-revoked', keyHash: keyHashOf(keyHash) }) as const),
      ];
      const events: AuditEntry[] = [
        {
          organizationId: null,
          action: 'leak_report.taken',
          target: { type: 'leak-report', id: null },
          details: { ...found, strings: report.strings.length, revoked: result.length },
        },
        ...apiKeys.map((key) => revocationOf('api-key', key, { ...found, reason: 'leaked' })),
        ...serviceKeys.map((key) => revocationOf('service-key', key, { ...found, reason: 'leaked' })),
      ];
      return { result, events };
    });
    for (const change of revoked) changes.announce(change);
  }

  #tellOfRootKeys({ requestId }: Caller, candidates: readonly string[]): void {
    const { isRootKey, onRootKeyLeaked } = this.#dependencies;
    if (candidates.some(isRootKey)) onRootKeyLeaked(requestId);
  }
}

/** Each of them as it came, since an imported key may look like anything, and every key of ours that stands in one. */
function candidatesIn(strings: readonly string[]): string[] {
  return [...new Set(strings.flatMap((text) => [text.trim(), ...keysIn(text)]))].filter((text) => text !== '');
}

/** Where it was found, without what was found: that may stand in a URL. */
function foundIn({ source, url }: LeakReport, candidates: readonly string[]) {
  const secrets = candidates.filter(({ length }) => length >= SHORTEST_HIDDEN);
  const longestFirst = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .sort((a, b) => b.length - a.length);
  const without = (text: string) =>
    [...keysIn(text), ...longestFirst].reduce((left, secret) => left.replaceAll(secret, HIDDEN), text);
  return { source: without(source), url: url === null ? null : without(url) };
}

function revocationOf(
  type: 'api-key' | 'service-key',
  { id, organizationId }: LeakedKey,
  details: NonNullable<AuditEntry['details']>,
): AuditEntry {
  const action = type === 'api-key' ? 'api_key.revoked' : 'service_key.revoked';
  return { organizationId, action, target: { type, id }, details };
}
