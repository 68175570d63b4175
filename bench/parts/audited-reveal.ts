import type { Bench } from '../bench.ts';
import { query } from '../database.ts';
import { medianOf } from '../measure/figures.ts';
import type { PartResult, Target } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { ratioText } from '../statistics.ts';
import {
  bareExpress,
  EXPRESS,
  INSERT_PER_REVEAL,
  insertPerReveal,
  keyService,
  REVEAL_ALONE,
  revealAlone,
  SERVICE,
} from '../subjects.ts';
import { measureKnown } from './one-round.ts';
import { PROVIDER, storeProviderKeys } from './reveal.ts';

const LEAST_AGAINST_INSERTS = 3;
const LEAST_AGAINST_EXPRESS = 1;

/** `GET /validate/keys/:provider`, whose record is on the disk before it is answered, against a commit for each. */
export const auditedReveal = {
  name: 'audited-reveal',
  summary: 'audited reveals that share commits, against one INSERT and commit for each',
  async run(bench: Bench): Promise<PartResult> {
    const databaseUrl = await bench.serviceDatabase();
    const service = await keyService(bench);
    await storeProviderKeys(bench, service);
    await query(databaseUrl, 'create table naive.audit_events (like key_service.audit_events including all)');
    const subjects = [
      insertPerReveal(databaseUrl),
      revealAlone(service),
      bareExpress(),
      { ...service, name: 'Key Service, audited reveal' },
    ];
    const counted = await countedWith(databaseUrl, () =>
      inRounds(bench, subjects, (server, { id }) =>
        measureKnown(bench, server, id === EXPRESS ? '/validate' : `/validate/keys/${PROVIDER}`),
      ),
    );
    const speed = (subject: string) => medianOf(counted.rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
    const atLeast = (text: string, peer: string, least: number): Target => {
      const ratio = speed(SERVICE) / speed(peer);
      return { text: `${text}: at least ${least}×`, value: ratioText(ratio), met: ratio >= least };
    };
    return {
      notes: [`The service recorded ${counted.events.toLocaleString('en')} reveals, warm-up included.`],
      rounds: counted.rounds,
      subjects: subjects.map(({ id, name }) => ({ id, name })),
      targets: [
        atLeast('Audited reveals, against a commit for each of them', REVEAL_ALONE, LEAST_AGAINST_INSERTS),
        atLeast(
          'Audited reveals, against Express that does nothing but one INSERT and commit for each',
          INSERT_PER_REVEAL,
          LEAST_AGAINST_INSERTS,
        ),
        atLeast('Audited reveals, against bare Express', EXPRESS, LEAST_AGAINST_EXPRESS),
      ],
    };
  },
};

/** And how many events there are of it: a reveal without one would be fast for nothing. */
async function countedWith<T extends readonly { subject: string; requests: number }[]>(
  databaseUrl: string,
  work: () => Promise<T>,
): Promise<{ rounds: T; events: number }> {
  const before = await reveals(databaseUrl);
  const rounds = await work();
  const events = (await reveals(databaseUrl)) - before;
  const answered = rounds.reduce(
    (sum, { subject, requests }) => sum + (subject === SERVICE || subject === REVEAL_ALONE ? requests : 0),
    0,
  );
  if (events < answered) throw new Error(`${answered} reveals were answered, and ${events} are recorded`);
  return { rounds, events };
}

async function reveals(databaseUrl: string): Promise<number> {
  const [row] = await query<{ count: string }>(
    databaseUrl,
    `select count(*) from key_service.audit_events where action = 'provider_key.revealed'`,
  );
  return Number(row?.count);
}
