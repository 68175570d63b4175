import type { Recorded, RevocationResult } from '../results.ts';
import { percentilesOfValues } from '../statistics.ts';
import { image, milliseconds, table } from './markdown.ts';
import { revocationChart } from './part-charts.ts';
import { type Section, withNotes } from './section.ts';

export function revocationSection(part: Recorded<RevocationResult>): Section {
  const { lagsMs, sentLagsMs, revokeMs, replicas, backgroundRate, disturbance } = part.revocation;
  const row = (name: string, lags: number[]) => {
    const { p50, p90, p99 } = percentilesOfValues(lags);
    return [name, ...[p50, p90, p99, Math.max(...lags)].map(milliseconds)];
  };
  return {
    title: 'Revoking a key, everywhere',
    text: withNotes(
      part,
      `${lagsMs.length} keys are revoked, one after another, while ${replicas} replicas on one PostgreSQL serve other customers (${backgroundRate} requests a second each) and every one of them is asked about the key a thousand times a second. What counts is the time from the answer to the revocation until the last answer anywhere that still accepted the key.`,
      image('revocation.svg', 'Share of revocations that hold on all replicas, over time'),
      table(
        ['after the revocation was answered', 'p50', 'p90', 'p99', 'worst'],
        [row('the last acceptance arrived', lagsMs), row('the last accepted request was sent', sentLagsMs)],
      ),
      `The first line also counts requests that were under way when the revocation was answered, and the time their answers took to be read: what is true is between the two lines. Revoking itself took ${milliseconds(revokeMs.p50)} (p50), ${milliseconds(revokeMs.p99)} (p99).`,
      disturbance.disturbed ? '† Other programs disturbed this part.' : '',
    ),
    charts: { 'revocation.svg': revocationChart(part) },
  };
}
