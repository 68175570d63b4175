import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Audit } from '../audit/audit.ts';
import { MovedHeads } from '../audit/moved-heads.ts';
import type { OperatingCaller } from '../caller.ts';
import { AuditKeys } from '../data-keys/audit-keys.ts';
import type { RunRecorded } from '../data-keys/recorded.ts';
import { ServiceError } from '../errors.ts';
import type { Maintenance } from './maintenance.ts';
import { complain, say } from './say.ts';

/** Nobody waits for it but the person at the terminal. */
const CHANGE_LIMIT_MS = 30_000;
const KEY_ATTEMPTS = 4;
const KEY_PAUSE_MS = 500;

/** The audit as a command uses it, which says the newest events of the chains that it has moved. */
export function auditOf({ database, dataKeys }: Maintenance): { audit: Audit; keys: AuditKeys; heads: MovedHeads } {
  const keys = new AuditKeys(database, dataKeys);
  const heads = new MovedHeads((moved) => say(`audit heads: ${moved.join(', ')}`));
  const audit = new Audit({
    database,
    keys,
    heads,
    onBatch: () => {},
    onEvents: () => {},
    onWaited: () => {},
    onHeadless: (chain) => complain(`${chain} has no head: it was deleted.`),
  });
  return { audit, keys, heads };
}

export function commandLine(name: string): OperatingCaller {
  return { kind: 'commandLine', name, requestId: randomUUID(), address: null };
}

/** Runs changes of data keys for a command, and counts those that could not be recorded. */
export class Recorder {
  readonly #maintenance: Maintenance;
  readonly #audit: Audit;
  readonly #heads: MovedHeads;
  readonly #keys: AuditKeys;
  readonly #caller: OperatingCaller;
  #keySought: Promise<void> | undefined;
  #unrecorded = 0;

  constructor(maintenance: Maintenance, command: string) {
    const { audit, keys, heads } = auditOf(maintenance);
    this.#maintenance = maintenance;
    this.#keys = keys;
    this.#audit = audit;
    this.#heads = heads;
    this.#caller = commandLine(command);
  }

  /**
   * Alone among changes these happen where they cannot be recorded: an audit whose data key does not open must not keep
   * the others from being wrapped by a master key that is to stay, or from being replaced.
   */
  readonly run: RunRecorded = async (work) => {
    this.#keySought ??= this.#seekKey();
    await this.#keySought;
    try {
      return await this.#audit.change(
        this.#caller,
        async (queries) => {
          const { result, event } = await work(queries);
          const target = { type: 'data-key', id: null } as const;
          return { result, events: event === null ? [] : [{ ...event, target }] };
        },
        CHANGE_LIMIT_MS,
      );
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'audit_unavailable') throw error;
      const { result, event } = await this.#maintenance.database.transaction(work);
      if (event !== null) this.#unrecorded += 1;
      return result;
    }
  };

  /** A master key that is far away may take longer than a change waits for it; once it has answered, memory has it. */
  async #seekKey(): Promise<void> {
    for (let left = KEY_ATTEMPTS; left > 0; left -= 1) {
      const found = await this.#keys.current(CHANGE_LIMIT_MS).then(
        () => true,
        () => false,
      );
      if (found) return;
      await sleep(KEY_PAUSE_MS);
    }
  }

  /** To be called at the end. */
  tell(): void {
    this.#heads.tellAll();
    if (this.#unrecorded === 0) return;
    process.exitCode = 1;
    say(`${this.#unrecorded} change(s) could not be recorded: the audit log cannot be written. See \`audit verify\`.`);
  }
}
