import { isIP } from 'node:net';
import { isReachable, type Reach } from './addresses.ts';
import { catalogue } from './catalogue.ts';

/** Where a provider is asked instead of at its own address: a gateway of the operator's. */
export interface ProviderBaseUrl {
  provider: string;
  /** Without a slash at its end. */
  url: string;
  reach: Reach;
}

/** What is wrong with a list of base URLs. Names the entry by its number, never by its text. */
export class BaseUrlProblem extends Error {
  override readonly name = 'BaseUrlProblem';
}

/**
 * Reads `openai=https://gateway.example/v1,anthropic=https://gateway.example/anthropic`.
 *
 * @throws BaseUrlProblem
 */
export function readBaseUrls(list: string): ProviderBaseUrl[] {
  const baseUrls = list.split(',').map((entry, index) => readEntry(entry.trim(), index + 1));
  const providers = baseUrls.map(({ provider }) => provider);
  const repeated = providers.findIndex((provider, index) => providers.indexOf(provider) < index);
  if (repeated >= 0) throw new BaseUrlProblem(`must name each provider once; entry ${repeated + 1} names one again`);
  return baseUrls;
}

function readEntry(entry: string, number: number): ProviderBaseUrl {
  const [, provider = '', text = ''] = /^([^=]*?)\s*=\s*(.*)$/.exec(entry) ?? [];
  const isCheckable = catalogue.some(({ slug, check }) => slug === provider && check !== null);
  if (!isCheckable) {
    throw new BaseUrlProblem(
      `must be a list like openai=https://gateway.example/v1 of providers that can be checked; entry ${number} is not`,
    );
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || hasMore(url, text)) {
    throw new BaseUrlProblem(`must have URLs without user, password, query and fragment; entry ${number} has another`);
  }
  return { provider, url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, reach: reachOf(url, number) };
}

/** More than where to go: a secret perhaps, or what would stand before the path of a check. */
function hasMore({ username, password }: URL, text: string): boolean {
  return username !== '' || password !== '' || /[?#]/.test(text);
}

/** This machine is meant only by its own name or address, so that no other name can come to mean it. */
function reachOf({ hostname, protocol }: URL, number: number): Reach {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  const isLoopback = hostname === 'localhost' || isReachable(address, 'loopback');
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback)) {
    throw new BaseUrlProblem(`must have https URLs, or http URLs of localhost; entry ${number} has another`);
  }
  if (isIP(address) !== 0 && !isLoopback && !isReachable(address, 'public')) {
    throw new BaseUrlProblem(`must not lead to private, link-local or reserved addresses; entry ${number} does`);
  }
  return isLoopback ? 'loopback' : 'public';
}
