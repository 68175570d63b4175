import { z } from 'zod';

export const IDEMPOTENCY_KEY = 'Idempotency-Key';
/** Of an answer that was given before. */
export const REPLAYED = 'Idempotency-Replayed';
const LONGEST_KEY = 255;

/** A string of a structured field (RFC 9651 §3.3.3), without spaces … */
const QUOTED = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"$/;
/** … or what stands between its quotes, without them, as many clients send it. */
const BARE = /^[\x21\x23-\x7e]+$/;

/** `Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header). Sent twice it is joined, with a space, and no key. */
export const idempotencyKey = z
  .string()
  .transform((text, context) => {
    const [, quoted] = QUOTED.exec(text) ?? [];
    const key = quoted?.replaceAll(/\\(.)/g, '$1') ?? (BARE.test(text) ? text : '');
    if (key.length > 0 && key.length <= LONGEST_KEY) return key;
    const message = `needs one ${IDEMPOTENCY_KEY} header at most, with 1 to ${LONGEST_KEY} visible ASCII characters, in quotes or without`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .meta({
    description:
      'Makes it safe to send the request again: for 24 hours the same key with the same body is answered as the first time, ' +
      'and nothing is done twice. Take a new one, a UUID say, for every request that is to be a new one.',
    example: '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
  });

/** The key of a request whose endpoint takes one. */
export function keyOf({ headers }: { headers?: unknown }): string | undefined {
  return (headers as { [IDEMPOTENCY_KEY]?: string } | undefined)?.[IDEMPOTENCY_KEY];
}
