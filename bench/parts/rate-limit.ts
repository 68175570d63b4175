import { type Bench, KNOWN_KEYS } from '../bench.ts';
import { createServiceDatabase, query } from '../database.ts';
import { fillServiceDatabase } from '../fill.ts';
import { medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { ratioText } from '../statistics.ts';
import { keyService, SERVICE } from '../subjects.ts';
import { measureKnown } from './one-round.ts';

const LIMITED = 'key-service-limited';
const LEAST = 0.9;

/** `GET /validate` of keys with a rate limit that they do not reach, counted in memory, against keys without one. */
export const rateLimit = {
  name: 'rate-limit',
  summary: 'validations of keys with a rate limit, against keys without one',
  async run(bench: Bench): Promise<PartResult> {
    const subjects = [
      await keyService(bench),
      await keyService(bench, {
        id: LIMITED,
        name: 'Key Service, keys with a rate limit',
        databaseUrl: await limitedKeys(bench),
      }),
    ];
    const rounds = await inRounds(bench, subjects, (server) => measureKnown(bench, server));
    const speed = (subject: string) => medianOf(rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
    const ratio = speed(LIMITED) / speed(SERVICE);
    return {
      notes: [],
      rounds,
      subjects: subjects.map(({ id, name }) => ({ id, name })),
      targets: [
        {
          text: `Keys with a rate limit, against keys without: at least ${LEAST}×`,
          value: ratioText(ratio),
          met: ratio >= LEAST,
        },
      ],
    };
  },
};

/** A database of its own, with the keys that are asked about. */
async function limitedKeys({ postgres }: Bench): Promise<string> {
  const url = await createServiceDatabase(postgres, 'rate_limits');
  await fillServiceDatabase(url, KNOWN_KEYS);
  await query(url, `update key_service.api_keys set rate_limit = '{"limit": 1000000000, "windowSeconds": 60}'`);
  await query(url, 'vacuum (analyze)');
  return url;
}
