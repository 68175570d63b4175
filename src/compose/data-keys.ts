import { DataKeys } from '../data-keys/data-keys.ts';
import type { Changes } from '../database/change-feed/change-feed.ts';
import type { Database } from '../database/database.ts';
import type { Keyring } from '../encryption/keyring.ts';
import type { Logger } from '../observability/logger.ts';

/** Data keys, which are forgotten when they are removed. */
export function composeDataKeys({
  database,
  changes,
  keyring,
  logger,
}: {
  database: Database;
  changes: Changes;
  keyring: Keyring;
  logger: Logger;
}): DataKeys {
  const dataKeys = new DataKeys({
    database,
    keyring,
    onDamaged: (dataKeyId) => logger.error({ dataKeyId }, 'a data key does not open and was retired; it was altered'),
  });
  changes.subscribe((change) => {
    if (change.kind === 'data-key-removed') dataKeys.forget(change.dataKeyId);
    // One that fails comes again with the connection whose loss it was about.
    if (change.kind === 'everything-changed') dataKeys.forgetRemoved().catch(() => {});
  });
  return dataKeys;
}
