import type { SealedColumn } from '../data-keys/sealed-column.ts';
import { placeOf } from './kept-answer.ts';
import { countSealed, countSealedWith, listSealedWith, replaceSealed } from './reply-store.ts';

/** Every answer that is kept, for the rolling of data keys. */
export const sealedReplies: SealedColumn = {
  table: 'idempotent_replies',
  column: 'sealed',
  async list(queries, dataKeyIds, after, limit) {
    const rows = await listSealedWith(queries, dataKeyIds, after === null ? null : scopeOf(after), limit);
    return rows.map(({ scope, dataKeyId, sealed }) => ({
      key: scope.toString('hex'),
      place: placeOf(scope),
      dataKeyId,
      sealed,
    }));
  },
  async replace(queries, values) {
    const replaced = await replaceSealed(
      queries,
      values.map(({ key, ...value }) => ({ scope: scopeOf(key), ...value })),
    );
    return replaced.map((scope) => scope.toString('hex'));
  },
  count: countSealedWith,
  total: countSealed,
};

const scopeOf = (key: string) => Buffer.from(key, 'hex');
