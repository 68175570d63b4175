import { countedRounds } from '../measure/figures.ts';
import {
  type AttackResult,
  coldOf,
  type GrowthResult,
  knownOf,
  type PartResult,
  type Recorded,
  type Results,
} from '../results.ts';
import { median } from '../statistics.ts';
import { EXPRESS, INSERT_PER_REVEAL, SERVICE, UPDATE_PER_USE } from '../subjects.ts';
import { figuresTable, image, milliseconds, roundsText, table } from './markdown.ts';
import { attackChart, growthChart, memoryChart } from './part-charts.ts';
import { revocationSection } from './revocation-section.ts';
import { type Section, withNotes } from './section.ts';
import { latencyChart, throughputChart } from './throughput-charts.ts';

export function sectionsOf(results: Results): Section[] {
  const { validate, reveal, cold, attack, growth, revocation } = results;
  const issueRevoke = results['issue-revoke'];
  const auditedReveal = results['audited-reveal'];
  const rateLimit = results['rate-limit'];
  const usageLimit = results['usage-limit'];
  return [
    validate && validateSection(validate),
    revocation && revocationSection(revocation),
    reveal && {
      title: 'Revealing a provider key: `GET /validate/keys/:provider`',
      text: withNotes(
        reveal,
        'A validation, an event in the audit log, and a secret that is decrypted for the answer; and the same without the event, as nobody can run it.',
        figures(reveal),
      ),
      charts: {},
    },
    auditedReveal && {
      title: 'Recording every reveal',
      text: withNotes(
        auditedReveal,
        'The record of a reveal is on the disk before the secret is opened, here and there. Key Service writes those of many callers with one commit, each chained to the one before by a MAC; the peer answers a constant after an INSERT of its own, into a table of the same columns and indexes, with as many connections to PostgreSQL.',
        figuresTable(auditedReveal, INSERT_PER_REVEAL, 'INSERT each'),
      ),
      charts: {},
    },
    rateLimit && {
      title: 'Keys with a rate limit',
      text: withNotes(
        rateLimit,
        'Each request is counted, in memory, in a window that slides, and two headers more say how that stands. The limit is one that nobody reaches.',
        figuresTable(rateLimit, SERVICE, 'no limit'),
      ),
      charts: {},
    },
    usageLimit && {
      title: 'Counting every use',
      text: withNotes(
        usageLimit,
        'Keys that may be used so many times. Each use is on the disk before it is answered, here and there. Key Service takes those of all callers who wait at the moment with one statement and commit; the peer looks nothing up but the count, which it updates for each request, with as many connections to PostgreSQL.',
        figuresTable(usageLimit, UPDATE_PER_USE, 'UPDATE each'),
      ),
      charts: {},
    },
    cold && {
      title: 'Keys that are met for the first time',
      text: withNotes(
        cold,
        '10,000 distinct keys, each asked once by a process that has just started: every answer needs the database. The yardstick is what any service without a cache does for every request.',
        figuresTable(cold, cold.subjects[0]?.id ?? '', 'one look-up'),
      ),
      charts: {},
    },
    attack && attackSection(attack),
    growth && growthSection(growth),
    issueRevoke && {
      title: 'Issuing and revoking',
      text: withNotes(
        issueRevoke,
        '`POST /internal/api-keys` and `DELETE /internal/api-keys/:id`, 8 connections. Each is a transaction that is on the disk before it is answered.',
        figures(issueRevoke),
      ),
      charts: {},
    },
  ].filter((section) => section !== undefined);
}

function figures(part: PartResult): string {
  return figuresTable(part, EXPRESS, 'Express');
}

function validateSection(part: Recorded): Section {
  return {
    title: 'Validating a key: `GET /validate`',
    text: withNotes(
      part,
      image('throughput.svg', 'Requests a second of Key Service and its peers, as multiples of Express 4'),
      figures(part),
      image('latency.svg', 'Latency of Key Service and its peers, by percentile'),
    ),
    charts: { 'throughput.svg': throughputChart(part), 'latency.svg': latencyChart(part) },
  };
}

function attackSection(part: Recorded<AttackResult>): Section {
  const rows = [false, true].map((garbage) => {
    const all = part.attack.filter((round) => round.garbage === garbage);
    const rounds = countedRounds(all);
    const answers = Object.entries(rounds.at(-1)?.garbageStatuses ?? {}).map(
      ([status, count]) => `${count} × ${status}`,
    );
    return [
      garbage ? `with ${part.garbageRate}/s of unknown keys` : 'without',
      milliseconds(median(rounds.map(({ known }) => known.p50))),
      milliseconds(median(rounds.map(({ known }) => known.p99))),
      String(Math.round(median(rounds.map(({ lookUps }) => lookUps)))),
      `${Math.round(median(rounds.map(({ residentAfterMiB }) => residentAfterMiB)))} MiB`,
      answers.join(', '),
      roundsText(all),
    ];
  });
  return {
    title: 'Under attack',
    text: withNotes(
      part,
      `Requests are offered at a fixed rate, answered or not: ${part.knownRate} a second with known keys, then the same beside ${part.garbageRate} a second with keys that were never issued, well-formed and each a new one. Latency is that of the known keys, from when a request should have been sent.`,
      image('attack.svg', 'Latency of known keys with and without an attack'),
      table(['known keys', 'p50', 'p99', 'look-ups', 'memory', 'answers to unknown keys (last round)', 'rounds'], rows),
    ),
    charts: { 'attack.svg': attackChart(part) },
  };
}

function growthTable({ rounds, subjects, sizes }: GrowthResult, subjectOf: (size: number) => string): string {
  const [fewest = 0] = sizes;
  const shown = sizes.flatMap((size) => subjects.filter(({ id }) => id === subjectOf(size)));
  return figuresTable({ rounds, subjects: shown }, subjectOf(fewest), 'the fewest');
}

function growthSection(part: Recorded<GrowthResult>): Section {
  const { bytesPerKey, heldKeys, cycle } = part.memory;
  return {
    title: 'Growth',
    text: withNotes(
      part,
      image('growth.svg', 'Requests a second with more and more keys in the database'),
      growthTable(part, knownOf),
      growthTable(part, coldOf),
      `A key that has been met costs ${Math.round(bytesPerKey)} bytes of heap and buffers (measured over ${heldKeys.toLocaleString('en')} keys, after a garbage collection). Then one process meets ${(cycle.at(-1)?.keys ?? 0).toLocaleString('en')} distinct keys:`,
      image('memory.svg', 'Resident memory while one process meets more and more distinct keys'),
    ),
    charts: { 'growth.svg': growthChart(part), 'memory.svg': memoryChart(part) },
  };
}
