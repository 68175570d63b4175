import type { Queries } from '../database/queries.ts';
import type { DestroyedSoFar } from '../database/schema/index.ts';

/**
 * What an organisation has in other rooms, and what becomes of it when the organisation ends. All of it happens in the
 * transaction that it is handed, in which the organisation is locked.
 */
export interface Belongings {
  /** Revokes API keys for good, so many at most. @returns how many they were */
  revokeApiKeys(queries: Queries, organizationId: string, options: { at: Date; most: number }): Promise<number>;
  countApiKeys(queries: Queries, organizationId: string): Promise<number>;
  /** Takes provider keys out of every answer and keeps their secrets. @returns how many they were */
  hideProviderKeys(queries: Queries, organizationId: string, at: Date): Promise<number>;
  /** Puts back what was hidden at that instant. @returns how many they were */
  showProviderKeys(queries: Queries, organizationId: string, hiddenAt: Date): Promise<number>;
  /** Destroys the secrets of so many provider keys at most, in every version. `more`: there may be others. */
  destroyProviderKeys(
    queries: Queries,
    organizationId: string,
    options: { most: number },
  ): Promise<DestroyedSoFar & { more: boolean }>;
  /** @returns the ids of those that there were; nothing may be sealed with them any more */
  destroyDataKeys(queries: Queries, organizationId: string): Promise<string[]>;
}
