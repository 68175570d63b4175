import { z } from 'zod';

/** A place in a list, newest first: everything after it is older. */
export interface ListPosition {
  createdAt: Date;
  id: string;
}

/** Which part of a list is asked for. */
export interface ListRange {
  after: ListPosition | null;
  /** At most this many. */
  limit?: number | undefined;
}

/** Existing callers know no cursor and expect the whole list; this bounds it. */
const LONGEST_LIST = 1_000;

/**
 * Cuts a page from a list. `find` is asked for one more than the page holds, which tells whether there is a next one.
 * `next` is where that starts, or null when this was the last.
 */
export async function pageOf<Row extends ListPosition>(
  { after, limit = LONGEST_LIST }: ListRange,
  find: (range: { after: ListPosition | null; limit: number }) => Promise<Row[]>,
): Promise<{ page: Row[]; next: ListPosition | null }> {
  const found = await find({ after, limit: limit + 1 });
  const page = found.slice(0, limit);
  return { page, next: found.length > limit ? (page.at(-1) ?? null) : null };
}

/** A cursor is opaque to callers: a position, in base64url. Inside it is `<instant>|<id>`. */
export function encodeCursor(position: ListPosition | null): string | null {
  return position && Buffer.from(`${position.createdAt.toISOString()}|${position.id}`).toString('base64url');
}

const position = z.tuple([z.iso.datetime().refine((at) => new Date(at).getUTCFullYear() >= 1), z.uuid()]);

export const cursor = z
  .string()
  .transform((text, context): ListPosition => {
    const parsed = position.safeParse(Buffer.from(text, 'base64url').toString('utf8').split('|'));
    if (parsed.success) return { createdAt: new Date(parsed.data[0]), id: parsed.data[1] };
    context.addIssue({ code: 'custom', message: 'must be the nextCursor of an earlier answer' });
    return z.NEVER;
  })
  .meta({ description: 'Where to go on: the `nextCursor` of the answer before.' });

export const limit = z
  .string()
  .regex(/^[1-9]\d?$|^100$/, 'must be a whole number from 1 to 100')
  .transform(Number);
