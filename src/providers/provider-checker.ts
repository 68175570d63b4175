import pLimit, { type LimitFunction } from 'p-limit';
import { packageVersion } from '../package-version.ts';
import type { Reach } from './addresses.ts';
import { isBodyNeeded, meaningOf } from './answers.ts';
import { ask } from './ask.ts';
import type { ProviderBaseUrl } from './base-urls.ts';
import { catalogue } from './catalogue.ts';
import { KEY, type ProviderCheck } from './provider.ts';
import { addressesOf, type Resolve, systemResolver } from './resolve.ts';
import { Unanswered, type UnansweredReason } from './unanswered.ts';

/**
 * What a provider says of a key: `valid`, it knows it; `rejected`, it does not, or no longer; `unreachable`, it did not
 * say; `unchecked`, it was not asked, because the provider is not in the catalogue, takes more than a key, or cannot be
 * sent a key of such characters; `busy`, it was not asked, because too many others are being.
 */
export type CheckOutcome = 'valid' | 'rejected' | 'unreachable' | 'unchecked' | 'busy';

export interface ProviderChecker {
  /**
   * Whether anybody would be asked, about this secret if it is known yet: a check of any other provider's key, or of one
   * that cannot be sent, is `unchecked`.
   */
  canBeAsked(provider: string, secret?: string): boolean;
  /** Asks a provider whether a key is good. Takes 1 s at most, never fails, and tells nobody else the key. */
  check(provider: string, secret: string): Promise<CheckOutcome>;
}

export interface ProviderCheckFacts {
  provider: string;
  outcome: CheckOutcome;
  /** Why it is unreachable. */
  reason?: UnansweredReason;
  status?: number;
}

export interface ProviderCheckerOptions {
  /** Gateways of the operator's, in place of the providers' own addresses. */
  baseUrls: readonly ProviderBaseUrl[];
  /** Told of every question that was answered or not. */
  onChecked: (facts: ProviderCheckFacts) => void;
  resolve?: Resolve;
  limitMs?: number;
}

interface Target {
  check: ProviderCheck;
  url: URL;
  reach: Reach;
  /** Each provider has its own: one that does not answer takes nothing from the others. */
  turns: LimitFunction;
}

/** From the wait for a turn to the last byte. It leaves room for the database: all of a request has 2 s. */
const LIMIT_MS = 1_000;
/**
 * Of that, what may be spent waiting for a turn: with less than the rest, a good provider would be called unreachable. Below
 * the least time that anybody waits for a check, who would take one that has not begun for one without an answer.
 */
const WAITING_SHARE = 0.4;
/** Of each provider. */
const AT_ONCE = 16;
/** Of each provider, too. Each holds a secret, for as long as the time limit. */
const WAITING = 64;
/** The only text that arrives as it was sent, and can end no header (RFC 9110 §5.5). */
const canBeSent = (secret: string) => /^[\x21-\x7e]+$/.test(secret);

/** Asks providers as their catalogue entries say, at their own addresses or at those that the operator configured. */
export function providerChecker({
  baseUrls,
  onChecked,
  resolve = systemResolver(),
  limitMs = LIMIT_MS,
}: ProviderCheckerOptions): ProviderChecker {
  const targets = targetsOf(baseUrls);

  async function question({ check, url, reach }: Target, secret: string, signal: AbortSignal) {
    const addresses = await unlessAborted(addressesOf(url, reach, resolve), signal);
    const answer = await ask({
      method: check.method,
      url,
      headers: headersOf(check, secret),
      body: check.body === undefined ? null : JSON.stringify(check.body),
      addresses,
      signal,
      isBodyNeeded: (status) => isBodyNeeded(check, status),
    });
    const meaning = meaningOf(check, answer);
    if (meaning === null) throw new Unanswered('unexpected_answer', answer.status);
    return meaning;
  }

  async function inTurn(target: Target, secret: string) {
    const { turns } = target;
    if (turns.pendingCount >= WAITING) return 'busy';
    let isAsked = false;
    const timeLimit = new AbortController();
    const stop = () => timeLimit.abort(new Unanswered('time_limit'));
    const timer = setTimeout(stop, limitMs);
    const patience = setTimeout(() => isAsked || stop(), limitMs * WAITING_SHARE);
    const { signal } = timeLimit;
    const turn = () => {
      if (signal.aborted) return Promise.reject(signal.reason);
      isAsked = true;
      return question(target, secret, signal);
    };
    try {
      return await unlessAborted(turns(turn), signal);
    } catch (error) {
      // Whose turn did not come has asked nobody.
      if (!isAsked) return 'busy';
      throw error;
    } finally {
      clearTimeout(patience);
      clearTimeout(timer);
    }
  }

  return {
    canBeAsked: (provider, secret) => targets.has(provider) && (secret === undefined || canBeSent(secret)),
    async check(provider, secret) {
      const target = targets.get(provider);
      if (target === undefined || !canBeSent(secret)) return 'unchecked';
      try {
        const outcome = await inTurn(target, secret);
        onChecked({ provider, outcome });
        return outcome;
      } catch (error) {
        const { reason, status } = error instanceof Unanswered ? error : new Unanswered('connection');
        onChecked({ provider, outcome: 'unreachable', reason, ...(status === null ? {} : { status }) });
        return 'unreachable';
      }
    },
  };
}

function targetsOf(baseUrls: readonly ProviderBaseUrl[]): Map<string, Target> {
  const targets = new Map<string, Target>();
  for (const { slug, check } of catalogue) {
    if (check === null) continue;
    const { url, reach } = baseUrls.find(({ provider }) => provider === slug) ?? {
      url: check.baseUrl,
      reach: 'public' as const,
    };
    targets.set(slug, { check, url: new URL(url + check.path), reach, turns: pLimit(AT_ONCE) });
  }
  return targets;
}

function headersOf({ headers, keyHeader, body }: ProviderCheck, secret: string): Record<string, string> {
  return {
    Accept: 'application/json',
    // What comes is not unpacked: a few bytes of it could become any number.
    'Accept-Encoding': 'identity',
    'User-Agent': `key-service/${packageVersion}`,
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...headers,
    // A function, for in a text `$&` and its like would mean something.
    [keyHeader.name]: keyHeader.value.replace(KEY, () => secret),
  };
}

/** What the work comes to, or the signal's reason as soon as it is aborted; the work goes on. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
