import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { readBaseUrls } from '../../src/providers/base-urls.ts';
import {
  type ProviderChecker,
  type ProviderCheckerOptions,
  type ProviderCheckFacts,
  providerChecker,
} from '../../src/providers/provider-checker.ts';

export interface ObservedChecker extends ProviderChecker {
  /** What was told of each check. */
  facts: ProviderCheckFacts[];
}

/** A checker that asks at these base URLs, written as an operator writes them. */
export function checkerOf(
  baseUrls: string,
  options: Pick<ProviderCheckerOptions, 'resolve' | 'limitMs'> = {},
): ObservedChecker {
  const facts: ProviderCheckFacts[] = [];
  const checker = providerChecker({
    baseUrls: baseUrls === '' ? [] : readBaseUrls(baseUrls),
    onChecked: (fact) => facts.push(fact),
    ...options,
  });
  return { ...checker, facts };
}

export function addresses(...list: string[]): LookupAddress[] {
  return list.map((address) => ({ address, family: isIP(address) }));
}
