import { z } from 'zod';

/** An entity tag (RFC 9110 §8.8.3), in which a quote has no place, weak or strong. */
const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"';
const LIST = new RegExp(`^${TAG}(?:[ \\t]*,[ \\t]*${TAG})*$`);
const ONE_TAG = /(W\/)?"([^"]*)"/g;

/**
 * `If-Match` (RFC 9110 §13.1.1): what stands between the quotes of the entity tags that it names, or null for `*`, which is
 * whatever there is. Compared strongly, so that weak ones, which match nothing, are left out.
 */
export const ifMatch = z
  .string()
  .transform((text, context): readonly string[] | null => {
    const value = text.trim();
    if (value === '*') return null;
    if (LIST.test(value)) {
      return [...value.matchAll(ONE_TAG)].flatMap(([, weak, tag]) => (weak === undefined ? [tag ?? ''] : []));
    }
    context.addIssue({ code: 'custom', message: 'has an If-Match header that is no list of entity tags' });
    return z.NEVER;
  })
  .meta({ description: 'The `ETag` that the item must still have, else nothing is changed.', example: '"3"' });
