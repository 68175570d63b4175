import type { Bench } from '../bench.ts';
import { KNOWN_KEYS } from '../bench.ts';
import { lookUpsByHash } from '../database.ts';
import { ISSUED } from '../fill.ts';
import { keyOf, keysOf } from '../keys.ts';
import { asHolder } from '../load/connection.ts';
import { UnexpectedAnswers } from '../load/load.ts';
import { offer, type StreamResult, UNANSWERED } from '../load/offered-rate.ts';
import { watchMachine } from '../measure/disturbance.ts';
import { countedRounds } from '../measure/figures.ts';
import type { AttackResult, AttackRound, Target } from '../results.ts';
import type { RunningServer } from '../servers.ts';
import { median, percentilesOfValues, ratioText } from '../statistics.ts';
import { keyService } from '../subjects.ts';

/** Offered, not asked for in turn: an attacker does not wait. Of them one in ten is a customer. */
const KNOWN_RATE = 400;
const GARBAGE_RATE = 3600;
/** Enough for every request to be under way at once, within what the service accepts. */
const KNOWN_CONNECTIONS = 32;
const GARBAGE_CONNECTIONS = 96;
const P99_FACTOR = 2;
/** The bound of the cache, and what a busy process takes and gives back besides. */
const MEMORY_BOUND_MIB = 128;

/** Known keys while somebody tries others: nine in ten requests carry a well-formed key that was never issued. */
export const attack = {
  name: 'attack',
  summary: `known keys at ${KNOWN_RATE}/s, with and without ${GARBAGE_RATE}/s of unknown keys`,
  async run(bench: Bench): Promise<AttackResult> {
    const { command } = await keyService(bench);
    const rounds: AttackRound[] = [];
    for (let round = 1; round <= bench.effort.rounds; round += 1) {
      // In turn the one and the other first.
      for (const garbage of round % 2 === 0 ? [true, false] : [false, true]) {
        const server = await bench.servers.start(command);
        try {
          rounds.push(await measureRound(bench, server, round, garbage));
        } finally {
          await server.stop();
        }
        bench.tell(line(rounds.at(-1)));
      }
    }
    const rates = { knownRate: KNOWN_RATE, garbageRate: GARBAGE_RATE };
    return { ...rates, attack: rounds, notes: [], rounds: [], subjects: [], targets: targetsOf(rounds) };
  },
};

async function measureRound(bench: Bench, server: RunningServer, round: number, garbage: boolean) {
  const { effort, signal } = bench;
  const { port } = server;
  const databaseUrl = await bench.serviceDatabase();
  const requests = keysOf(ISSUED, 0, KNOWN_KEYS).map((key) => asHolder(key));
  let asked = 0;
  const known = {
    port,
    rate: KNOWN_RATE,
    connections: KNOWN_CONNECTIONS,
    next: () => requests[asked++ % requests.length] ?? '',
  };
  let tried = 0;
  const series = `garbage ${round}`;
  const unknown = {
    port,
    rate: GARBAGE_RATE,
    connections: GARBAGE_CONNECTIONS,
    next: () => asHolder(keyOf(series, tried++)),
  };

  // Every known key is met before, and the code has run, that for unknown keys too: a process compiles it once in its
  // life, and an attack on one that is seconds old is not what is measured here.
  const warmUpSeconds = Math.max(effort.warmUpSeconds, KNOWN_KEYS / KNOWN_RATE);
  await offer([known, unknown], { seconds: warmUpSeconds, signal });
  const residentBeforeMiB = server.residentMiB();
  const lookUpsBefore = await lookUpsByHash(databaseUrl);
  const machine = watchMachine();
  const [customers, attackers] = await offer(garbage ? [known, unknown] : [known], {
    seconds: effort.seconds * 2,
    signal,
  });
  if (customers === undefined) throw new Error('Nobody asked');
  requireStatuses(customers, [200, 503, UNANSWERED]);
  if (attackers !== undefined) requireStatuses(attackers, [401, 503, UNANSWERED]);
  return {
    round,
    garbage,
    known: percentilesOfValues(customers.latenciesMs),
    knownStatuses: customers.statuses,
    garbageStatuses: attackers?.statuses ?? {},
    lookUps: (await lookUpsByHash(databaseUrl)) - lookUpsBefore,
    residentBeforeMiB,
    residentAfterMiB: server.residentMiB(),
    disturbance: machine(),
  };
}

/** 503 is an honest answer of a service that has more to do than it can; whether it was owed is a target. */
function requireStatuses({ statuses }: StreamResult, allowed: readonly number[]): void {
  if (Object.keys(statuses).every((status) => allowed.includes(Number(status)))) return;
  throw new UnexpectedAnswers(`Answers were ${JSON.stringify(statuses)}`);
}

function total(statuses: StreamResult['statuses'], of: (status: number) => boolean = () => true): number {
  return Object.entries(statuses).reduce((sum, [status, count]) => (of(Number(status)) ? sum + count : sum), 0);
}

function targetsOf(rounds: readonly AttackRound[]): Target[] {
  const attacked = countedRounds(rounds.filter(({ garbage }) => garbage));
  const p99 = (of: readonly AttackRound[]) => median(of.map(({ known }) => known.p99));
  const factor = p99(attacked) / p99(countedRounds(rounds.filter(({ garbage }) => !garbage)));
  const refused = attacked.reduce(
    (sum, { knownStatuses }) => sum + total(knownStatuses, (status) => status !== 200),
    0,
  );
  const perKey = Math.max(...attacked.map(({ lookUps, garbageStatuses }) => lookUps / total(garbageStatuses)));
  const growth = Math.max(...attacked.map((round) => round.residentAfterMiB - round.residentBeforeMiB));
  return [
    { text: 'Known keys that were not answered 200 under attack: none', value: String(refused), met: refused === 0 },
    {
      text: `p99 of known keys under attack, against without: at most ${P99_FACTOR}×`,
      value: `${ratioText(factor)} (${p99(attacked).toFixed(2)} ms)`,
      met: factor <= P99_FACTOR,
    },
    {
      text: 'Look-ups of the database a distinct unknown key: at most 1',
      value: perKey.toFixed(2),
      // Known keys may be looked up as well, now and then.
      met: perKey <= 1.01,
    },
    {
      text: `Memory that the attack added: at most ${MEMORY_BOUND_MIB} MiB`,
      value: `${growth.toFixed(0)} MiB`,
      met: growth <= MEMORY_BOUND_MIB,
    },
  ];
}

function line(round: AttackRound | undefined): string {
  if (round === undefined) return '';
  const { known, knownStatuses, garbageStatuses, lookUps: count } = round;
  const columns = [
    round.garbage ? 'under attack' : 'in peace    ',
    `p50 ${known.p50.toFixed(2)} ms  p99 ${known.p99.toFixed(2)} ms`,
    `known ${JSON.stringify(knownStatuses)}  unknown ${JSON.stringify(garbageStatuses)}  look-ups ${count}`,
    round.disturbance.disturbed ? 'disturbed' : '',
  ];
  return `  ${round.round}  ${columns.join('  ')}`;
}
