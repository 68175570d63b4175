import { dataKeys } from '../database/schema/index.ts';
import type { DataKeyIdentity } from '../encryption/master-key.ts';

/** A data key as it rests: wrapped by the master key that it names. */
export interface WrappedDataKey extends DataKeyIdentity {
  masterKeyId: string;
  wrapped: Buffer;
}

/** The columns of a wrapped data key, for queries that fetch one beside what it sealed. */
export const wrappedDataKeyColumns = {
  id: dataKeys.id,
  purpose: dataKeys.purpose,
  organizationId: dataKeys.organizationId,
  masterKeyId: dataKeys.masterKeyId,
  wrapped: dataKeys.wrapped,
};

/** Whether two readings of one row have found the same in it. */
export function isUnchanged(before: WrappedDataKey, now: WrappedDataKey): boolean {
  return (
    before.id === now.id &&
    before.masterKeyId === now.masterKeyId &&
    before.purpose === now.purpose &&
    before.organizationId === now.organizationId &&
    before.wrapped.equals(now.wrapped)
  );
}
