import { invalidRequest } from './errors.ts';

/**
 * Not a matter of how a request reads: one that is sent again with its Idempotency-Key is answered as it was, also when the
 * instant has come meanwhile.
 *
 * @param sent each with its place in the request, a JSON pointer
 * @throws ServiceError `invalid_request`
 */
export function requireFuture(sent: readonly { pointer: string; instant: Date | null | undefined }[]): void {
  const now = new Date();
  const passed = sent.filter(({ instant }) => instant != null && instant <= now);
  if (passed.length > 0)
    throw invalidRequest(passed.map(({ pointer }) => ({ pointer, detail: 'must be in the future' })));
}
