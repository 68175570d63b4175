import { DataKeyReplaced, type DataKeys, type SealingKey } from '../data-keys/data-keys.ts';
import type { Queries } from '../database/queries.ts';
import { takeTurn } from '../database/turn.ts';
import { ServiceError } from '../errors.ts';
import type { Answer, Keeping } from '../http/idempotency.ts';
import { sealAnswer } from './kept-answer.ts';
import { insertReply, isAnswered, type ReplyToKeep } from './reply-store.ts';

/** Keys are forgotten after so long, and the same request is a new one. */
const KEPT_FOR_HOURS = 24;

/** The same request was answered between a look and the transaction. */
export class AnsweredMeanwhile extends Error {
  override readonly name = 'AnsweredMeanwhile';
}

/** `DataKeyReplaced`, of the key that seals the answer: not for a use case that seals something itself. */
export class DataKeyRetired extends Error {
  override readonly name = 'DataKeyRetired';
}

interface ToKeep extends Omit<ReplyToKeep, 'dataKeyId' | 'sealed'> {
  sealing: SealingKey;
}

/** One request's answer, on its way into a transaction. */
export class ReplyInTransaction implements Keeping {
  readonly #dataKeys: DataKeys;
  readonly #toKeep: ToKeep;
  #isKept = false;

  constructor(dataKeys: DataKeys, toKeep: ToKeep) {
    this.#dataKeys = dataKeys;
    this.#toKeep = toKeep;
  }

  /** It is in the transaction that began last. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /**
   * From here to the end of the transaction it alone answers this request. Nobody waits for it: the lock is tried, and
   * PostgreSQL lets go of it with the connection, whatever becomes of the process.
   *
   * @throws ServiceError `idempotency_key_in_use`; AnsweredMeanwhile
   */
  async begin(transaction: object): Promise<void> {
    const queries = transaction as Queries;
    this.#isKept = false;
    const { scope } = this.#toKeep;
    if (!(await takeTurn(queries, scope.readBigInt64BE()))) throw inUse();
    // A statement of its own: it sees what was committed before the lock could be had.
    if (await isAnswered(queries, scope)) throw new AnsweredMeanwhile();
  }

  /** @throws DataKeyRetired */
  async keep(transaction: object, answer: Answer): Promise<void> {
    const queries = transaction as Queries;
    const { sealing, ...reply } = this.#toKeep;
    await this.#confirm(queries);
    const sealed = sealAnswer(sealing, reply.scope, answer);
    await insertReply(queries, { ...reply, dataKeyId: sealing.id, sealed }, KEPT_FOR_HOURS);
    this.#isKept = true;
  }

  async #confirm(queries: Queries): Promise<void> {
    try {
      await this.#dataKeys.confirm(queries, this.#toKeep.sealing);
    } catch (error) {
      if (error instanceof DataKeyReplaced) throw new DataKeyRetired();
      throw error;
    }
  }
}

function inUse(): ServiceError {
  return new ServiceError(
    'idempotency_key_in_use',
    'A request with this Idempotency-Key is being answered just now. Send it again for its answer.',
  );
}
