import { type Bench, KNOWN_KEYS } from '../bench.ts';
import { ORGANIZATIONS, organizationOf } from '../fill.ts';
import { keyOf } from '../keys.ts';
import { askEach } from '../load/ask-each.ts';
import { rawRequest } from '../load/connection.ts';
import { medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { ratioText } from '../statistics.ts';
import { bareExpress, EXPRESS, keyService, REVEAL_UNRECORDED, revealUnrecorded } from '../subjects.ts';
import { measureKnown } from './one-round.ts';

export const PROVIDER = 'openai';
const LEAST = 2;

/** `GET /validate/keys/:provider` with known keys: a validation, and a secret opened, before auditing and with it. */
export const reveal = {
  name: 'reveal',
  summary: 'throughput and latency of GET /validate/keys/:provider',
  async run(bench: Bench): Promise<PartResult> {
    const service = await keyService(bench);
    await storeProviderKeys(bench, service);
    const subjects = [bareExpress(), revealUnrecorded(service), { ...service, name: 'Key Service, reveal' }];
    const rounds = await inRounds(bench, subjects, (server, { id }) =>
      measureKnown(bench, server, id === EXPRESS ? '/validate' : `/validate/keys/${PROVIDER}`),
    );
    const speed = (subject: string) => medianOf(rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
    const ratio = speed(REVEAL_UNRECORDED) / speed(EXPRESS);
    return {
      notes: [],
      rounds,
      subjects: subjects.map(({ id, name }) => ({ id, name })),
      targets: [
        {
          text: `A reveal before it is recorded, against bare Express: at least ${LEAST}×`,
          value: ratioText(ratio),
          met: ratio >= LEAST,
        },
      ],
    };
  },
};

/** One for every organisation, through the service itself: only it can seal them. */
export async function storeProviderKeys(bench: Bench, service: Awaited<ReturnType<typeof keyService>>): Promise<void> {
  const server = await bench.servers.start(service.command);
  try {
    const requests = Array.from({ length: Math.min(ORGANIZATIONS, KNOWN_KEYS) }, (_, index) =>
      rawRequest(
        'POST',
        '/internal/keys',
        { 'X-Service-Key': bench.serviceKey },
        { clerkOrgId: organizationOf(index), provider: PROVIDER, apiKey: keyOf('a provider key of nobody', index) },
      ),
    );
    await askEach({ port: server.port, connections: 4, requests, expectedStatus: [200, 201] });
  } finally {
    await server.stop();
  }
}
