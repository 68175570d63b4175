import { z } from 'zod';
import type { ListPosition } from './api-key-store.ts';

/** A cursor is opaque to callers: a position, in base64url. Inside it is `<instant>|<id>`. */
export function encodeCursor({ createdAt, id }: ListPosition): string {
  return Buffer.from(`${createdAt.toISOString()}|${id}`).toString('base64url');
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
