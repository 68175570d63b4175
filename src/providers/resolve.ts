import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import pLimit from 'p-limit';
import { SingleFlight } from '../cache/single-flight.ts';
import { isReachable, type Reach } from './addresses.ts';
import { Unanswered } from './unanswered.ts';

/** All addresses of a name, as the system knows them. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/**
 * The system resolver blocks one of Node's four threads (UV_THREADPOOL_SIZE) for as long as a name server does not
 * answer, and has no way to stop. A provider whose name servers are gone must not keep the others from all of them.
 */
const LOOK_UPS_AT_ONCE = 2;

/**
 * The system's own resolver: hosts file and search domains included. A name is looked up once at a time, for all who ask
 * for it meanwhile: who has given up leaves nothing behind in the queue, which no other name would come past.
 */
export function systemResolver(ask: Resolve = (hostname) => lookup(hostname, { all: true })): Resolve {
  const limit = pLimit(LOOK_UPS_AT_ONCE);
  const flights = new SingleFlight<LookupAddress[]>();
  return (hostname) => flights.run(hostname, true, () => limit(() => ask(hostname)));
}

/**
 * The addresses to connect to. Every one has to be within reach: a name that has one good address and one that is not
 * is somebody's trick, or somebody's mistake.
 *
 * @throws Unanswered `not_resolved`, `address_refused`
 */
export async function addressesOf(url: URL, reach: Reach, resolve: Resolve): Promise<readonly LookupAddress[]> {
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(hostname);
  const addresses = family === 0 ? await resolved(hostname, resolve) : [{ address: hostname, family }];
  if (addresses.length === 0) throw new Unanswered('not_resolved');
  if (!addresses.every(({ address }) => isReachable(address, reach))) throw new Unanswered('address_refused');
  return addresses;
}

async function resolved(hostname: string, resolve: Resolve): Promise<LookupAddress[]> {
  try {
    return await resolve(hostname);
  } catch {
    throw new Unanswered('not_resolved');
  }
}
