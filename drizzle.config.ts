import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './src/database/schema/index.ts',
  out: './migrations',
  schemaFilter: ['key_service'],
  migrations: { schema: 'key_service' },
  dbCredentials: { url: process.env['KEY_SERVICE_DATABASE_URL'] ?? '' },
});
