import type { SealedColumn } from '../data-keys/sealed-column.ts';
import { placeOfCopy } from './key-copies.ts';
import { countSealed, countSealedWith, listSealedWith, replaceSealed } from './sealed-column-store.ts';

/** The copies of API keys that can be recovered, for the rolling of data keys. */
export const sealedApiKeys: SealedColumn = {
  table: 'api_key_copies',
  column: 'sealed',
  async list(queries, dataKeyIds, after, limit) {
    const rows = await listSealedWith(queries, dataKeyIds, after, limit);
    return rows.map(({ id, organizationId, dataKeyId, sealed }) => ({
      key: id,
      place: placeOfCopy({ id, organizationId }),
      dataKeyId,
      sealed,
    }));
  },
  replace: replaceSealed,
  count: countSealedWith,
  total: countSealed,
};
