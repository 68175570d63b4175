import { randomUUID } from 'node:crypto';
import type { Caller } from '../caller.ts';
import type { AuditKeys } from '../data-keys/audit-keys.ts';
import type { Queries } from '../database/queries.ts';
import { takeTurn } from '../database/turn.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import type { Audit, Changed } from './audit.ts';
import { findCheckpoint, readStored } from './chain-store.ts';
import { ChainVerifier, type Fault } from './chain-verifier.ts';
import { checkpointSignature } from './event-mac.ts';
import { deleteUpTo, findChainsWithOld, saveCheckpoint } from './retention-store.ts';

const DAY_MS = 24 * 60 * 60_000;
const HOUR_MS = 60 * 60_000;
/** Replicas that start together do not all begin with this. */
const FIRST_RUN_MS = 60_000;
/** What one transaction cuts is gone in a few hundred milliseconds. */
const EVENTS_AT_ONCE = 500;
const BATCH_LIMIT_MS = 10_000;
const KEY_LIMIT_MS = 2_000;
const BEFORE_ALL = Number.MIN_SAFE_INTEGER;

export interface CutReport {
  chains: number;
  events: number;
  /** Somebody else is cutting just now. */
  busy: boolean;
  /** Chains that do not verify are left as they are: cutting them would sign what somebody else has made of them. */
  faults: { chain: string; fault: Fault }[];
}

interface Batch {
  cut: { chain: string; events: number }[];
  /** Nothing can be cut from these, now or later in this run. */
  done: string[];
  faults: CutReport['faults'];
  busy: boolean;
}

/**
 * Cuts from every chain the events that are older than they have to be kept. What is left begins after a signed checkpoint,
 * so that it still verifies.
 */
export class Retention {
  readonly #audit: Audit;
  readonly #keys: AuditKeys;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(audit: Audit, keys: AuditKeys) {
    this.#audit = audit;
    this.#keys = keys;
  }

  /** Cuts every hour. */
  start(days: number, tell: { done: (report: CutReport) => void; failed: (error: unknown) => void }): void {
    const run = () => {
      const caller = { kind: 'system', name: 'retention', requestId: randomUUID(), address: null } as const;
      this.cut(caller, days).then(tell.done, tell.failed);
    };
    this.#timers.push(setTimeout(run, FIRST_RUN_MS).unref(), setInterval(run, HOUR_MS).unref());
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Cuts what is older than so many days, a few hundred events at a time. */
  async cut(caller: Caller, days: number): Promise<CutReport> {
    const before = new Date(Date.now() - days * DAY_MS);
    const cut = new Set<string>();
    const done = new Set<string>();
    const report: CutReport = { chains: 0, events: 0, busy: false, faults: [] };
    for (;;) {
      const batch = await this.#cutSome(caller, before, [...done]);
      for (const { chain, events } of batch.cut) {
        cut.add(chain);
        report.events += events;
      }
      for (const chain of batch.done) done.add(chain);
      report.faults.push(...batch.faults);
      report.busy = batch.busy;
      if (batch.busy || (batch.cut.length === 0 && batch.done.length === 0)) break;
    }
    report.chains = cut.size;
    return report;
  }

  async #cutSome(caller: Caller, before: Date, except: readonly string[]): Promise<Batch> {
    const key = await this.#keys.current(KEY_LIMIT_MS);
    return this.#audit.change(caller, (queries) => this.#cutIn(queries, key, before, except), BATCH_LIMIT_MS);
  }

  async #cutIn(queries: Queries, key: DataKey, before: Date, except: readonly string[]): Promise<Changed<Batch>> {
    const batch: Batch = { cut: [], done: [], faults: [], busy: !(await takeTurn(queries, 'audit cut')) };
    if (batch.busy) return { result: batch, events: [] };
    let events = 0;
    for (const chain of await findChainsWithOld(queries, before, { except, sample: EVENTS_AT_ONCE })) {
      const outcome = await this.#cutChain(queries, chain, before, key);
      if (outcome.fault !== null) batch.faults.push({ chain, fault: outcome.fault });
      if (outcome.events === 0) batch.done.push(chain);
      if (outcome.events > 0) batch.cut.push({ chain, events: outcome.events });
      events += outcome.events;
      if (events >= EVENTS_AT_ONCE) break;
    }
    if (events === 0) return { result: batch, events: [] };
    const details = { before: before.toISOString(), chains: batch.cut.length, events };
    const target = { type: 'audit', id: null } as const;
    return { result: batch, events: [{ organizationId: null, action: 'audit.cut', target, details }] };
  }

  /** Verifies what it cuts: with it goes the proof of what somebody may have done to it. */
  async #cutChain(queries: Queries, chain: string, before: Date, key: DataKey) {
    const verifier = new ChainVerifier((id) => this.#keys.find(queries, id));
    let events = 0;
    let fault = await verifier.begin(await findCheckpoint(queries, chain));
    for (const event of fault === null ? await readStored(queries, chain, BEFORE_ALL, EVENTS_AT_ONCE) : []) {
      // Clocks of replicas differ: what is older than an event that stays, stays too.
      if (!(Number(event.text.occurredAt) < before.getTime())) break;
      fault = await verifier.next(event);
      if (fault !== null) break;
      events += 1;
    }
    if (fault !== null || events === 0) return { events: 0, fault };
    const { sequence, mac } = verifier.position;
    const text = {
      chain,
      sequence: String(sequence),
      mac: mac.toString('hex'),
      cutAt: String(Date.now()),
      dataKeyId: key.id,
    };
    await saveCheckpoint(queries, { text, signature: checkpointSignature(key.key, text) });
    await deleteUpTo(queries, chain, sequence);
    return { events, fault: null };
  }
}
