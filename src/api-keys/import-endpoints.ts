import { z } from 'zod';
import { ROOT } from '../caller.ts';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { importedKeys, importResult } from './import-schemas.ts';
import type { KeyImports } from './key-imports.ts';
import { settingsOf } from './settings.ts';

const LARGEST_BODY_BYTES = 1024 * 1024;

export function keyImportEndpoint(imports: KeyImports, service: ServiceAuthentication): Endpoint {
  return endpoint({
    method: 'post',
    path: '/internal/api-keys/import',
    tag: 'API keys',
    summary: 'Take over API keys that were issued elsewhere, by their hashes',
    description:
      'Up to 1,000 at once, all or none; the body may have 1 MiB. The keys go on as they are, whatever their form. A hash ' +
      'that is known already, of whichever organisation, is a `duplicate` and changes nothing. What is to be shown of a ' +
      'key, `keyPrefix` and `last4`, is empty unless it is sent.',
    authentication: service(ROOT),
    errors: ['organization_deleted', 'audit_unavailable'],
    idempotent: true,
    largestBodyBytes: LARGEST_BODY_BYTES,
    request: { body: z.strictObject({ keys: importedKeys }) },
    responses: {
      200: {
        description: 'What became of each, in the order of the request.',
        schema: z.object({ imported: z.int(), duplicates: z.int(), results: z.array(importResult) }),
      },
    },
    handle(caller, { body }, answering) {
      const keys = body.keys.map((key) => ({
        clerkOrgId: key.clerkOrgId,
        keyHash: key.sha256,
        keyPrefix: key.keyPrefix,
        last4: key.last4,
        name: key.name ?? null,
        environment: key.environment,
        enabled: key.enabled,
        ...settingsOf(key),
      }));
      return imports.import(
        caller,
        keys,
        answering((results) => {
          const imported = results.filter(({ status }) => status === 'imported').length;
          return { status: 200, body: { imported, duplicates: results.length - imported, results } };
        }),
      );
    },
  });
}
