import { ServiceError } from './errors.ts';

const PASSED = 'must be in the future';
const MOST_TOLD = 100;

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
  const [first] = passed;
  if (first === undefined) return;
  const more = passed.length > 1 ? ` (and ${passed.length - 1} more)` : '';
  throw new ServiceError('invalid_request', `${first.pointer.slice(1)} ${PASSED}${more}.`, {
    fields: passed.slice(0, MOST_TOLD).map(({ pointer }) => ({ pointer, detail: PASSED })),
  });
}
