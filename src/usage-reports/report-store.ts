import { and, eq, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../database/queries.ts';
import { apiKeys, organizations, usageCounts } from '../database/schema/index.ts';
import type { Range } from './range.ts';

/** How often something came to an outcome within a bucket. */
export interface BucketCount {
  /** When the bucket begins. */
  start: Date;
  outcome: string;
  count: number;
}

/** By bucket, then by outcome. Undefined when the organisation has no such key. */
export async function countsOfKey(
  queries: Queries,
  clerkOrgId: string,
  id: string,
  range: Range,
): Promise<BucketCount[] | undefined> {
  const { start, columns, within } = ofRange(range);
  const rows = await queries
    .select(columns)
    .from(apiKeys)
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .leftJoin(usageCounts, and(eq(usageCounts.subjectId, apiKeys.id), within))
    .where(and(eq(apiKeys.id, id), eq(organizations.clerkOrgId, clerkOrgId)))
    .groupBy(start, usageCounts.outcome)
    .orderBy(start, usageCounts.outcome);
  // A key without counts is a row without any.
  return rows.length === 0 ? undefined : rows.filter((row): row is BucketCount => row.start !== null);
}

/** The sums over all keys that an organisation ever had; none when it is not known here. By bucket, then by outcome. */
export async function countsOfOrganization(queries: Queries, clerkOrgId: string, range: Range): Promise<BucketCount[]> {
  const { start, columns, within } = ofRange(range);
  const rows = await queries
    .select(columns)
    .from(organizations)
    .innerJoin(usageCounts, and(eq(usageCounts.subjectId, organizations.id), within))
    .where(eq(organizations.clerkOrgId, clerkOrgId))
    .groupBy(start, usageCounts.outcome)
    .orderBy(start, usageCounts.outcome);
  return rows.filter((row): row is BucketCount => row.start !== null);
}

function ofRange({ bucket, since, until }: Range) {
  // One of a closed set, and not a parameter: PostgreSQL has to see that what is shown is what is grouped by.
  const start: SQL<Date | null> = sql`date_trunc(${sql.raw(`'${bucket}'`)}, ${usageCounts.hour}, 'UTC')`.mapWith(
    usageCounts.hour,
  );
  const count = sql<number>`sum(${usageCounts.count})`.mapWith(Number);
  return {
    start,
    columns: { start, outcome: usageCounts.outcome, count },
    within: and(gte(usageCounts.hour, since), lt(usageCounts.hour, until)),
  };
}
