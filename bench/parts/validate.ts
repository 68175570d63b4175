import type { Bench } from '../bench.ts';
import { medianOf } from '../measure/figures.ts';
import { treeOf } from '../measure/process-tree.ts';
import type { PartResult, Target } from '../results.ts';
import { inRounds } from '../rounds.ts';
import { ratioText } from '../statistics.ts';
import {
  bareExpress,
  betterAuths,
  EXPRESS,
  expressAtItsBest,
  keyService,
  NODE_HTTP,
  naive,
  nodeHttp,
  SERVICE,
} from '../subjects.ts';
import { measureKnown, measureUnknown } from './one-round.ts';

const WITH_SENTRY = 'key-service-sentry';
const TWO_WORKERS = 'key-service-workers';
const UNKNOWN_KEYS = 'key-service-unknown';

/** `GET /validate` with 32 connections, of this service and of its peers. */
export const validate = {
  name: 'validate',
  summary: 'throughput and latency of GET /validate, against peers',
  async run(bench: Bench): Promise<PartResult> {
    const databaseUrl = await bench.serviceDatabase();
    const notes: string[] = [];
    const workers = await keyService(bench, {
      id: TWO_WORKERS,
      name: 'Key Service, KEY_SERVICE_WORKERS=2',
      environment: { KEY_SERVICE_WORKERS: '2' },
    });
    const knowsWorkers = await startsWorkers(bench, workers.command);
    if (!knowsWorkers) notes.push('This build does not know `KEY_SERVICE_WORKERS` yet: not measured.');
    const subjects = [
      nodeHttp(),
      bareExpress(),
      expressAtItsBest(),
      await keyService(bench),
      await keyService(bench, {
        id: WITH_SENTRY,
        name: 'Key Service, SENTRY_DSN set',
        environment: { SENTRY_DSN: bench.standIns.sentryDsn },
      }),
      ...(knowsWorkers ? [workers] : []),
      await keyService(bench, { id: UNKNOWN_KEYS, name: 'Key Service, unknown keys' }),
      naive(databaseUrl),
      ...betterAuths(await bench.betterAuthDatabase(), bench.knownKeysFile),
    ];
    const rounds = await inRounds(bench, subjects, (server, { id }) =>
      id === UNKNOWN_KEYS ? measureUnknown(bench, server) : measureKnown(bench, server),
    );
    const refused = rounds.reduce((sum, round) => sum + round.refused / round.requests / bench.effort.rounds, 0);
    if (refused > 0)
      notes.push(`Of unknown keys ${(refused * 100).toFixed(1)} % were answered 503: look-ups are bounded.`);
    const names = subjects.map(({ id, name }) => ({ id, name }));
    return { notes, rounds, subjects: names, targets: targetsOf({ rounds }) };
  },
};

async function startsWorkers({ servers }: Bench, command: Parameters<typeof servers.start>[0]): Promise<boolean> {
  const server = await servers.start(command);
  const processes = treeOf(server.process.pid ?? 0).length;
  await server.stop();
  return processes > 2;
}

function targetsOf({ rounds }: Pick<PartResult, 'rounds'>): Target[] {
  const speed = (subject: string) => medianOf(rounds, subject, ({ requestsPerSecond }) => requestsPerSecond);
  const p99 = (subject: string) => medianOf(rounds, subject, ({ latencyMs }) => latencyMs.p99);
  const atLeast = (text: string, ratio: number, least: number) => ({
    text: `${text}: at least ${least}×`,
    value: ratioText(ratio),
    met: ratio >= least,
  });
  const latency = p99(SERVICE) / p99(EXPRESS);
  return [
    atLeast('A known key, against bare Express', speed(SERVICE) / speed(EXPRESS), 3.5),
    atLeast('A known key, against bare node:http', speed(SERVICE) / speed(NODE_HTTP), 0.45),
    { text: "p99 of a known key, against Express's: at most 0.5×", value: ratioText(latency), met: latency <= 0.5 },
    atLeast('With SENTRY_DSN set, against without', speed(WITH_SENTRY) / speed(SERVICE), 0.9),
  ];
}
