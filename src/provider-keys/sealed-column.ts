import type { SealedColumn } from '../data-keys/sealed-column.ts';
import { countSealed, countSealedWith, listSealedWith, replaceSealed } from './sealed-column-store.ts';
import { placeOf } from './sealed-key.ts';

/** Every version of every provider key, for the rolling of data keys. */
export const sealedProviderKeys: SealedColumn = {
  table: 'provider_key_versions',
  column: 'sealed',
  async list(queries, dataKeyIds, after, limit) {
    const rows = await listSealedWith(queries, dataKeyIds, after === null ? null : parseKey(after), limit);
    return rows.map((row) => ({
      key: keyOf(row),
      place: placeOf(row),
      dataKeyId: row.dataKeyId,
      sealed: row.sealed,
    }));
  },
  async replace(queries, values) {
    const replaced = await replaceSealed(
      queries,
      values.map(({ key, ...value }) => ({ ...parseKey(key), ...value })),
    );
    return replaced.map(keyOf);
  },
  count: countSealedWith,
  total: countSealed,
};

function keyOf({ id, version }: { id: string; version: number }): string {
  return `${id}/${version}`;
}

function parseKey(key: string): { id: string; version: number } {
  const [id = '', version = ''] = key.split('/');
  return { id, version: Number(version) };
}
