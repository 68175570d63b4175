import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/event.ts';
import type { Caller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { PASS_LIMIT_MS, type RevealGate } from '../reveal-freezes/reveal-gate.ts';
import type { KeyOpener } from './key-opener.ts';
import type { SealedKey } from './sealed-key.ts';

/** Who gets the secret of a stored key. */
export interface Reveal {
  /** Whose record it is: the organisation that it is for; null where it is for none. */
  organizationId: string | null;
  /** Whose key it is. */
  source: 'own' | 'platform';
  /** `caller`, or the provider that is asked whether the key is good. */
  to: 'caller' | 'provider';
}

/** How long the record of a secret that did not open may take; nobody waits for it. */
const FAILURE_LIMIT_MS = 1_000;

/** Opens stored secrets for those who are to have them, and records it before. */
export class RecordedReveals {
  readonly #audit: Audit;
  readonly #opener: KeyOpener;
  readonly #gate: RevealGate;

  constructor(audit: Audit, opener: KeyOpener, gate: RevealGate) {
    this.#audit = audit;
    this.#opener = opener;
    this.#gate = gate;
  }

  /**
   * The text does not exist before its record does. Its data key is opened before that, for what cannot be opened just now
   * need not be recorded; nor need what is frozen. What is frozen while it waits for its record stays here all the same.
   *
   * @param msLeft how much there is still left for all of it
   * @throws ServiceError `reveals_frozen`; `provider_key_unreadable`; `encryption_unavailable` when it cannot be opened just now;
   * `audit_unavailable` when it could not be recorded
   */
  async open(caller: Caller, sealed: SealedKey, reveal: Reveal, msLeft: () => number): Promise<string> {
    const event = eventOf(sealed, reveal);
    const passing = this.#gate.pass(reveal.organizationId);
    if (passing !== undefined) await passing;
    const preparing = this.#opener.prepare(sealed);
    if (preparing instanceof Promise) await preparing;
    await this.#audit.reveal(caller, event, Math.max(1, msLeft() - PASS_LIMIT_MS));
    try {
      const opened = this.#opener.open(caller, sealed);
      const secret = opened instanceof Promise ? await opened : opened;
      const leaving = this.#gate.pass(reveal.organizationId);
      if (leaving !== undefined) await leaving;
      return secret;
    } catch (error) {
      // The record says that it was revealed. That it was not is worth another.
      const details = { ...event.details, code: error instanceof ServiceError ? error.code : 'internal_error' };
      const failed = { ...event, action: 'provider_key.reveal_failed', details } as const;
      this.#audit.reveal(caller, failed, FAILURE_LIMIT_MS).catch(() => {});
      throw error;
    }
  }
}

function eventOf({ row: { id, provider, version } }: SealedKey, { organizationId, source, to }: Reveal): AuditEntry {
  return {
    organizationId,
    action: 'provider_key.revealed',
    target: { type: 'provider-key', id },
    provider,
    details: { version, source, to },
  };
}
