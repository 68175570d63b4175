import type { Caller } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { Range } from './range.ts';
import { type BucketCount, countsOfKey, countsOfOrganization } from './report-store.ts';

/** How often something happened, and what became of it; only what is not zero. */
interface Uses {
  total: number;
  outcomes: Record<string, number>;
}

export interface UsageReport extends Uses {
  range: Range;
  /** In their order; those without uses are left out. */
  buckets: (Uses & { start: Date })[];
}

/** Tells how often keys were used. What no replica has written yet is not among it. */
export class UsageReports {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Undefined for an unknown key and another organisation's alike. @param id a UUID */
  async ofKey(_caller: Caller, clerkOrgId: string, id: string, range: Range): Promise<UsageReport | undefined> {
    const counts = await this.#database.query((queries) => countsOfKey(queries, clerkOrgId, id, range));
    return counts && reportOf(range, counts);
  }

  /** Of all keys that the organisation ever had. One that is not known here has none. */
  async ofOrganization(_caller: Caller, clerkOrgId: string, range: Range): Promise<UsageReport> {
    const counts = await this.#database.query((queries) => countsOfOrganization(queries, clerkOrgId, range));
    return reportOf(range, counts);
  }
}

/** @param counts by bucket */
function reportOf(range: Range, counts: readonly BucketCount[]): UsageReport {
  const report: UsageReport = { range, ...nothing(), buckets: [] };
  for (const { start, outcome, count } of counts) {
    let bucket = report.buckets.at(-1);
    if (bucket?.start.getTime() !== start.getTime()) {
      bucket = { start, ...nothing() };
      report.buckets.push(bucket);
    }
    for (const uses of [report, bucket]) {
      uses.total += count;
      uses.outcomes[outcome] = (uses.outcomes[outcome] ?? 0) + count;
    }
  }
  return report;
}

function nothing(): Uses {
  return { total: 0, outcomes: {} };
}
