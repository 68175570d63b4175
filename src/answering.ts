/**
 * How what a use case has done becomes its answer, inside of the transaction that does it. An endpoint hands this to a use
 * case that makes something; where the request carries an Idempotency-Key, the answer is stored in that same transaction, so
 * that there is never what was made without its answer, nor an answer without what it tells of.
 *
 * @template T what the use case comes to
 * @template R the answer that the endpoint makes of it
 */
export interface Answering<T, R> {
  /** To be called first in the transaction. Throws what the use case lets pass: somebody else is at it, or has done it. */
  begin(queries: object): Promise<void>;
  /** To be called last in the transaction: nothing that it depends on may change any more. */
  conclude(queries: object, result: T): Promise<R>;
  /** The answer where nothing was changed, so that there is no transaction that it belongs to. */
  unchanged(result: T): R;
}
