import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, KNOWN_KEYS } from '../bench.ts';
import { createServiceDatabase, query } from '../database.ts';
import { fillServiceDatabase, ISSUED } from '../fill.ts';
import { keyOf } from '../keys.ts';
import { medianOf } from '../measure/figures.ts';
import type { PartResult, Target } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { ratioText } from '../statistics.ts';
import { keyService, SERVICE, type Subject, UPDATE_PER_USE, updatePerUse } from '../subjects.ts';
import { measureKnown } from './one-round.ts';

const LEAST = 1;
/** More than a run asks for. */
const USES = 1_000_000_000;

/** `GET /validate` of keys whose uses are counted, each on the disk before it is answered, against an UPDATE for each. */
export const usageLimit = {
  name: 'usage-limit',
  summary: 'validations of keys with a usage limit, against one UPDATE and commit for each',
  async run(bench: Bench): Promise<PartResult> {
    const databaseUrl = await limitedKeys(bench);
    const service = await keyService(bench, { databaseUrl });
    const peer = updatePerUse(databaseUrl);
    const subjects = [
      { ...peer, name: `${peer.name}; ${KNOWN_KEYS} keys` },
      { ...service, name: `Key Service, ${KNOWN_KEYS} keys` },
      ofOneKey({ ...peer, name: `${peer.name}; one key` }),
      ofOneKey({ ...service, name: 'Key Service, one key' }),
    ];
    const oneKeyFile = join(bench.directory, 'one-limited-key');
    await writeFile(oneKeyFile, keyOf(ISSUED, 0), { mode: 0o600 });
    const rounds = await inRounds(bench, subjects, (server, { id }) =>
      measureKnown(id.endsWith(ONE_KEY) ? { ...bench, knownKeysFile: oneKeyFile } : bench, server),
    );
    const speed = (subject: string) => medianOf(rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
    const atLeast = (text: string, ratio: number): Target => ({
      text: `${text}, against Express and one UPDATE each: at least ${LEAST}×`,
      value: ratioText(ratio),
      met: ratio >= LEAST,
    });
    return {
      notes: [],
      rounds,
      subjects: subjects.map(({ id, name }) => ({ id, name })),
      targets: [
        atLeast(`Uses of ${KNOWN_KEYS} keys`, speed(SERVICE) / speed(UPDATE_PER_USE)),
        atLeast('Uses of one key', speed(SERVICE + ONE_KEY) / speed(UPDATE_PER_USE + ONE_KEY)),
      ],
    };
  },
};

const ONE_KEY = '-one-key';
const ofOneKey = (subject: Subject): Subject => ({ ...subject, id: subject.id + ONE_KEY });

/** A database of its own, whose keys all have a limit, and the same counts for the peer. */
async function limitedKeys({ postgres }: Bench): Promise<string> {
  const url = await createServiceDatabase(postgres, 'usage_limits');
  await fillServiceDatabase(url, KNOWN_KEYS);
  await query(
    url,
    `insert into key_service.api_key_usage_limits (id, remaining) select id, ${USES} from key_service.api_keys;
     update key_service.api_keys set usage_limit_id = id, usage_limited = true;
     create schema naive;
     create table naive.uses (key_hash bytea primary key, remaining bigint not null) with (fillfactor = 50);
     insert into naive.uses select key_hash, ${USES} from key_service.api_keys;`,
  );
  await query(url, 'vacuum (analyze)');
  return url;
}
