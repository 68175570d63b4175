import type { Queries } from '../database/queries.ts';
import type { SecretPlace } from '../encryption/sealed-secret.ts';

/** A sealed value, and the one place where it opens. */
export interface SealedValue {
  /** Names its row within the column; values are worked through in its order. */
  key: string;
  place: SecretPlace;
  dataKeyId: string;
  sealed: Buffer;
}

/** A value that was sealed anew. It takes the place of what was read, and of nothing else. */
export interface Resealed {
  key: string;
  before: Buffer;
  sealed: Buffer;
  dataKeyId: string;
}

/**
 * A column that holds what data keys sealed. Each is handed to the rolling of data keys by the room whose column it is; a
 * test refuses a column of the schema that is not.
 */
export interface SealedColumn {
  /** Without the schema. */
  table: string;
  column: string;
  /** Values that one of these data keys sealed, in the order of their keys, from behind `after`. */
  list(queries: Queries, dataKeyIds: readonly string[], after: string | null, limit: number): Promise<SealedValue[]>;
  /**
   * Replaces those that are still what was read, and waits for none that somebody is changing.
   *
   * @returns the keys of those that it has replaced
   */
  replace(queries: Queries, values: readonly Resealed[]): Promise<string[]>;
  /** How many values each of these data keys sealed; nothing is said of one that sealed none. */
  count(queries: Queries, dataKeyIds: readonly string[]): Promise<{ dataKeyId: string; count: number }[]>;
  /** How many values there are, by whether their data key is retired. */
  total(queries: Queries): Promise<{ current: number; retired: number }>;
}
