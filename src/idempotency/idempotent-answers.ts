import { timingSafeEqual } from 'node:crypto';
import type { Audit } from '../audit/audit.ts';
import type { AuditKeys } from '../data-keys/audit-keys.ts';
import type { DataKeys, SealingKey } from '../data-keys/data-keys.ts';
import type { Database } from '../database/database.ts';
import { databaseUnavailable } from '../database/database-error.ts';
import { DecryptionError } from '../encryption/decryption-error.ts';
import type { DataKey } from '../encryption/sealed-secret.ts';
import { ServiceError } from '../errors.ts';
import type { Answer, Idempotency, Keeping, KeyedRequest } from '../http/idempotency.ts';
import type { RevealGate } from '../reveal-freezes/reveal-gate.ts';
import { within } from '../time-limit.ts';
import { openAnswer } from './kept-answer.ts';
import { AnsweredMeanwhile, DataKeyRetired, ReplyInTransaction } from './reply-in-transaction.ts';
import { findReply, type KeptReply } from './reply-store.ts';
import { bodyMac, organizationOf, scopeOf } from './request-identity.ts';

/** What becomes of requests with a key, for the metrics. */
export type KeyedOutcome = 'answered' | 'replayed' | 'reused' | 'in_use';

interface Dependencies {
  database: Database;
  dataKeys: DataKeys;
  auditKeys: AuditKeys;
  audit: Audit;
  gate: RevealGate;
  onOutcome: (outcome: KeyedOutcome) => void;
}

/** To look whether it was answered, and to find the keys. A database that is gone is noticed here, and nothing comes after. */
const PREPARE_LIMIT_MS = 1_000;
const TRIP_LIMIT_MS = 950;
/** To keep an answer that belongs to no change. */
const KEEP_LIMIT_MS = 600;
/** With what passing the gate takes at most, twice, and what preparing takes, below 2 s. */
const RECORD_LIMIT_MS = 450;
/** Each time somebody else was faster, or the data key was replaced; neither happens twice to one request. */
const MOST_ATTEMPTS = 4;

interface Known {
  scope: Buffer;
  bodyKeyId: string;
  bodyMac: Buffer;
}
type Prepared = { found: KeptReply; bodyKey: DataKey } | { found: null; known: Known; sealing: SealingKey };

/**
 * Answers a request that is sent again as it was answered first, and lets it do nothing a second time. The answer is stored in
 * the transaction of what it tells of; until that commits nothing has happened, and what a killed process had begun is gone
 * with its connection. So nothing is claimed beforehand, and nothing has to be given back.
 */
export class IdempotentAnswers implements Idempotency {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  async answerOnce(request: KeyedRequest, perform: (keeping: Keeping) => Promise<Answer>) {
    const { onOutcome } = this.#dependencies;
    try {
      const given = await this.#answer(request, perform);
      onOutcome(given.isReplayed ? 'replayed' : 'answered');
      return given;
    } catch (error) {
      const code = error instanceof ServiceError ? error.code : null;
      if (code === 'idempotency_key_reused') onOutcome('reused');
      if (code === 'idempotency_key_in_use') onOutcome('in_use');
      throw error;
    }
  }

  async #answer(request: KeyedRequest, perform: (keeping: Keeping) => Promise<Answer>) {
    const scope = scopeOf(request);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
      const prepared = await within(PREPARE_LIMIT_MS, this.#prepare(request, scope), databaseUnavailable);
      if (prepared.found !== null) {
        return { answer: await this.#again(request, scope, prepared), isReplayed: true };
      }
      try {
        return { answer: await this.#first(request, prepared, perform), isReplayed: false };
      } catch (error) {
        if (!(error instanceof AnsweredMeanwhile || error instanceof DataKeyRetired)) throw error;
      }
    }
    throw databaseUnavailable();
  }

  async #prepare(request: KeyedRequest, scope: Buffer): Promise<Prepared> {
    const { database, dataKeys, auditKeys } = this.#dependencies;
    const found = await database.query((queries) => findReply(queries, scope, organizationOf(request)), TRIP_LIMIT_MS);
    if (found !== undefined) {
      const bodyKey = await database.query((queries) => auditKeys.find(queries, found.bodyKeyId), TRIP_LIMIT_MS);
      if (bodyKey === null) throw unreadable('no_body_key');
      return { found, bodyKey };
    }
    const bodyKey = await auditKeys.current(TRIP_LIMIT_MS);
    const sealing = await dataKeys.forSealing(null);
    const known = { scope, bodyKeyId: bodyKey.id, bodyMac: bodyMac(bodyKey.key, scope, request.body) };
    return { found: null, known, sealing };
  }

  async #first(
    { caller, showsKey }: KeyedRequest,
    { known, sealing }: Extract<Prepared, { found: null }>,
    perform: (keeping: Keeping) => Promise<Answer>,
  ): Promise<Answer> {
    const { database, dataKeys } = this.#dependencies;
    const reply = new ReplyInTransaction(dataKeys, { ...known, requestId: caller.requestId, sealing });
    const answer = await perform(reply);
    // A key that was shown and not made is not kept: to be shown it again, one has to be allowed to see it by then.
    if (!reply.isKept && !(showsKey && 'reply' in answer)) {
      // A refusal, or nothing to change.
      await database.transaction(async (queries) => {
        await reply.begin(queries);
        await reply.keep(queries, answer);
      }, KEEP_LIMIT_MS);
    }
    return answer;
  }

  /**
   * An answer may hold a key: giving it again is recorded first, and asks whether reveals are frozen before that and once
   * more when nothing is left to be waited for, as every reveal does.
   */
  async #again(
    request: KeyedRequest,
    scope: Buffer,
    { found, bodyKey }: Extract<Prepared, { bodyKey: DataKey }>,
  ): Promise<Answer> {
    if (!timingSafeEqual(found.bodyMac, bodyMac(bodyKey.key, scope, request.body))) throw reused();
    const { dataKeys, audit, gate } = this.#dependencies;
    const { organizationId, requestId } = found;
    const answer = await open(scope, found, dataKeys);
    if ('reply' in answer) {
      if (request.showsKey) await gate.pass(organizationId);
      const target = { type: 'request', id: requestId } as const;
      const details = { route: request.route };
      await audit.reveal(
        request.caller,
        { organizationId, action: 'answer.repeated', target, details },
        RECORD_LIMIT_MS,
      );
      if (request.showsKey) await gate.pass(organizationId);
    }
    return answer;
  }
}

async function open(scope: Buffer, { dataKey, sealed }: KeptReply, dataKeys: DataKeys): Promise<Answer> {
  try {
    return openAnswer(await dataKeys.unwrap(dataKey), scope, sealed);
  } catch (error) {
    if (error instanceof DecryptionError) throw unreadable(error.reason);
    throw error;
  }
}

function reused(): ServiceError {
  return new ServiceError(
    'idempotency_key_reused',
    'This Idempotency-Key was sent before with another body. Take a new one for a new request.',
  );
}

/** It was done, and must not be done again: there is no other answer to it. */
function unreadable(reason: string): ServiceError {
  return new ServiceError(
    'internal_error',
    'This request was answered before, and the answer cannot be read any more. Look at what it has done.',
    { context: { keptAnswer: reason } },
  );
}
