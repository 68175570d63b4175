import { createHash, createHmac } from 'node:crypto';
import { callerName } from '../caller.ts';
import { canonicalJson } from '../canonical-json.ts';
import { encodeAad } from '../encryption/aad.ts';
import type { KeyedRequest } from '../http/idempotency.ts';

const VERSION = '1';

/**
 * What an Idempotency-Key is good for: one caller, one route with its parameters, one organisation. SHA-256, 32 bytes; the
 * same for good, for under any other a request would be done again.
 */
export function scopeOf(request: KeyedRequest): Buffer {
  const { caller, route, params, key } = request;
  const parameters = Object.entries(params).flat();
  const fields = ['idempotency-scope', VERSION, callerName(caller), organizationOf(request) ?? '', key, route];
  return createHash('sha256')
    .update(encodeAad([...fields, ...parameters]))
    .digest();
}

/** The organisation that a request names in its body, as requests that make something do. */
export function organizationOf({ body }: KeyedRequest): string | undefined {
  const named = isObject(body) ? body['clerkOrgId'] : undefined;
  return typeof named === 'string' ? named : undefined;
}

/**
 * What a body is known again by: HMAC-SHA-256 under an `audit` data key, whose other uses begin with other labels. Keyed, for
 * bodies hold secrets that could be guessed from a plain hash; over JSON with sorted names and no spaces, for a client that
 * builds its request anew may write it another way. As it was sent and not as a schema read it: another version of this
 * service may read more.
 */
export function bodyMac(key: Buffer, scope: Buffer, body: unknown): Buffer {
  return createHmac('sha256', key)
    .update(
      encodeAad(['idempotent-request', VERSION, scope.toString('hex'), body === undefined ? '' : canonicalJson(body)]),
    )
    .digest();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
