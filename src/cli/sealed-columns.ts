import { sealedApiKeys } from '../api-keys/sealed-column.ts';
import type { SealedColumn } from '../data-keys/sealed-column.ts';
import { sealedReplies } from '../idempotency/sealed-column.ts';
import { sealedProviderKeys } from '../provider-keys/sealed-column.ts';

/**
 * Every column that holds what a data key sealed: rolling data keys seals them anew, and knows no other. A test compares
 * them, and the one that `encryption rotate` wraps anew, with the columns of the schema.
 */
export const SEALED_COLUMNS: readonly SealedColumn[] = [sealedProviderKeys, sealedApiKeys, sealedReplies];

/** Where data keys rest, wrapped by a master key. */
export const WRAPPED_COLUMN = { table: 'data_keys', column: 'wrapped' };
