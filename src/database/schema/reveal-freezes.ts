import { uuid } from 'drizzle-orm/pg-core';
import { instant, keyService } from './columns.ts';

/** Whose secrets are revealed to nobody until further notice: an organisation's, or, with the nil UUID, everybody's. */
export const revealFreezes = keyService.table('reveal_freezes', {
  scope: uuid('scope').primaryKey(),
  frozenAt: instant('frozen_at').notNull().defaultNow(),
});
