import { z } from 'zod';
import { type Endpoint, endpoint, type ServiceAuthentication } from '../http/endpoint.ts';
import { PreparedJson } from '../prepared-json.ts';
import { catalogue } from './catalogue.ts';

const providers = z.array(
  z.object({
    slug: z.string().meta({ description: 'The `provider` of its keys.' }),
    name: z.string(),
    keysUrl: z.url().meta({ description: 'Where a person gets a key.' }),
    keyForm: z
      .object({
        pattern: z.string().meta({ description: 'A regular expression for a whole key.' }),
        hint: z.string().meta({ description: 'The same for people, in a sentence.' }),
      })
      .meta({ description: 'What a key looks like, for forms. A key of another form is stored all the same.' }),
    checkable: z.boolean().meta({ description: 'Whether the provider can be asked if a key is good.' }),
  }),
);

/** The catalogue changes with a release and never while the service runs. */
const listed = catalogue.map(({ check, ...provider }) => ({ ...provider, checkable: check !== null }));
const body = new PreparedJson({ providers: listed });

export function providerEndpoints(service: ServiceAuthentication): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/internal/providers',
      tag: 'Providers',
      summary: 'List the providers that are known by name',
      description: 'Keys of any other provider are stored all the same; they cannot be checked.',
      authentication: service('provider-keys:read'),
      request: {},
      responses: {
        200: {
          description: 'Sorted by slug.',
          schema: z.object({ providers: providers.meta({ example: listed.slice(0, 1) }) }),
        },
      },
      handle: () => ({ status: 200, body }),
    }),
  ];
}
