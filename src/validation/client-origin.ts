import type { RequestOrigin } from '../caller.ts';
import { invalidRequest } from '../errors.ts';
import { normalAddress } from '../ip-address.ts';

/** Whether a service key is good. A promise only where it has to be looked up; a failure to look is thrown. */
export type ServiceKeyTest = (key: string) => boolean | Promise<boolean>;

/** Where the request of a client comes from. */
export interface ClientOrigin extends RequestOrigin {
  /** Why it could not be found out whether the address that was named is to be believed. */
  addressTrouble?: unknown;
}

/** What a request shows of that. */
interface Sent {
  origin: RequestOrigin;
  header(name: 'x-client-ip' | 'x-service-key'): string | null | undefined;
}

/**
 * Reads where the request of a client comes from: from the address in `X-Client-IP` where a good service key comes with it,
 * else from where it seems to come from. Nothing is looked up for a request without that header.
 *
 * @throws ServiceError `invalid_request` for a header that is believed and is no address. Passed over, it would let a client
 * choose: one that can add the header to what a gateway sends would be judged by the gateway's own address.
 */
export function originReader(isServiceKey: ServiceKeyTest): (sent: Sent) => ClientOrigin | Promise<ClientOrigin> {
  return ({ origin, header }) => {
    const named = header('x-client-ip');
    if (named === undefined) return origin;
    const serviceKey = header('x-service-key');
    if (!serviceKey) return origin;
    const judge = (isGood: boolean) => (isGood ? originOf(origin, named) : origin);
    const isGood = isServiceKey(serviceKey);
    if (!(isGood instanceof Promise)) return judge(isGood);
    return isGood.then(
      judge,
      // A key that may be used from anywhere is good all the same.
      (addressTrouble: unknown) => ({ ...origin, addressIsClients: false, addressTrouble }),
    );
  };
}

function originOf({ requestId }: RequestOrigin, named: string | null): ClientOrigin {
  const address = named === null ? null : normalAddress(named);
  if (address !== null) return { requestId, address, addressIsClients: true };
  const detail = named === null ? 'has more than one X-Client-IP header' : 'has an X-Client-IP that is no IP address';
  throw invalidRequest([{ pointer: '', detail }]);
}
