import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import type { LeakReports } from './leak-reports.ts';

const MOST_STRINGS = 100;
const LONGEST_STRING = 8_192;
const LONGEST_URL = 2_048;

const report = z.strictObject({
  strings: z
    .array(z.string().min(1).max(LONGEST_STRING))
    .min(1)
    .max(MOST_STRINGS)
    .meta({ description: 'What was found: keys, or texts that have keys in them.' }),
  source: z.string().min(1).max(255).meta({ description: 'Who or what has found it.', example: 'github' }),
  url: z.httpUrl().max(LONGEST_URL).nullish().meta({ description: 'Where it was found.' }),
});

export function leakReportEndpoints(leakReports: LeakReports, service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/internal/leak-reports',
      tag: 'Leaks',
      summary: 'Report strings that were found in public',
      description:
        'Those that are keys of this service are revoked for good, API keys and service keys, everywhere within the promise ' +
        'of a revocation. The answer is the same whether there were any; the audit log has which, and the source. A key is ' +
        'found in a longer text by its shape; an imported key has to be a string of its own.',
      authentication: service('root'),
      errors: ['audit_unavailable'],
      request: { body: report },
      responses: {
        200: { description: 'It was taken.', schema: z.object({ received: z.int(), message: z.string() }) },
      },
      async handle(caller, { body: { strings, source, url } }) {
        await leakReports.take(caller, { strings, source, url: url ?? null });
        return {
          status: 200,
          body: { received: strings.length, message: 'Thank you. What were keys are keys no more.' },
        };
      },
    }),
  ];
}
