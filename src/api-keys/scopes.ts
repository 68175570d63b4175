import { ServiceError } from '../errors.ts';

/** A scope: what a key may do, such as `read:orders`, or `orders:*` for everything that starts with `orders:`. */
export const SCOPE_PATTERN = /^[a-z0-9][a-z0-9:._*-]{0,63}$/;
export const MAX_SCOPES = 64;

/**
 * The first of the required scopes that a key lacks, or null when it has them all. A key whose scopes are null is
 * unrestricted; one with an empty list has none.
 */
export function firstMissingScope(granted: readonly string[] | null, required: readonly string[]): string | null {
  if (granted === null) return null;
  return required.find((scope) => !granted.some((grant) => covers(grant, scope))) ?? null;
}

/** @throws ServiceError `insufficient_scope`, which names the first that the key lacks */
export function requireScopes(granted: readonly string[] | null, required: readonly string[]): void {
  const missing = firstMissingScope(granted, required);
  if (missing !== null) throw new ServiceError('insufficient_scope', `This API key lacks the scope ${missing}.`);
}

function covers(grant: string, scope: string): boolean {
  return grant === scope || (grant.endsWith(':*') && scope.startsWith(grant.slice(0, -1)));
}
