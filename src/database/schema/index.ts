/** All tables, each in the file of the room whose rows they are. */
export * from './api-keys.ts';
export * from './audit.ts';
export { SCHEMA_NAME } from './columns.ts';
export * from './data-keys.ts';
export * from './idempotency.ts';
export * from './organizations.ts';
export * from './provider-keys.ts';
export * from './reveal-freezes.ts';
export * from './service-keys.ts';
export * from './usage.ts';
