import { isUtf8 } from 'node:buffer';
import { verifyWebhook } from '@clerk/backend/webhooks';

/** What a webhook is signed with beside its body, as Clerk's sender (Svix) calls it. */
export const SIGNATURE_HEADERS = ['svix-id', 'svix-timestamp', 'svix-signature'] as const;
export type SignatureHeaders = Record<(typeof SIGNATURE_HEADERS)[number], string>;

/** An event, which nobody has looked at yet. */
export interface SignedEvent {
  type: unknown;
  data: unknown;
}

/**
 * Why a delivery is not taken for Clerk's.
 * - `headers`: one that it is signed with is missing, sent twice, or what no request can have
 * - `timestamp`, `too_old`, `too_new`: when it says that it was sent is no time, or not within five minutes of now
 * - `not_utf8`, `not_an_event`: its body is no text, or, though signed, nothing that Clerk sends
 * - `signature`: none of its signatures was made with this secret, of this body, at this time
 */
export type Unverified = 'headers' | 'timestamp' | 'too_old' | 'too_new' | 'not_utf8' | 'not_an_event' | 'signature';

/** Somewhere: what is verified has no address, but Clerk's SDK takes a whole request. */
const NOWHERE = 'http://webhook.invalid/';

/** The SDK says why in words alone, in these. They are not passed on: with them it would repeat what was sent. */
const REASONS: readonly [words: string, reason: Unverified][] = [
  ['Missing required', 'headers'],
  ['Invalid Signature Headers', 'timestamp'],
  ['timestamp too old', 'too_old'],
  ['timestamp too new', 'too_new'],
  ['No matching signature', 'signature'],
];

/**
 * Clerk's own verification: HMAC-SHA-256 over id, timestamp and body, at most five minutes old or early (Standard Webhooks).
 *
 * @returns null when it was signed with this secret, and now; else why it is not taken for that
 */
export async function whyUnverified(
  signingSecret: string,
  headers: SignatureHeaders,
  body: Buffer,
): Promise<Unverified | null> {
  // Decoding would make two different bodies one.
  if (!isUtf8(body)) return 'not_utf8';
  const request = requestOf(headers, body);
  if (request === null) return 'headers';
  try {
    await verifyWebhook(request, { signingSecret });
    return null;
  } catch (error) {
    const words = error instanceof Error ? error.message : '';
    // Only of what is signed the body is read, and whatever is said then is about that.
    return REASONS.find(([known]) => words.includes(known))?.[1] ?? 'not_an_event';
  }
}

/** Null for header values that no request takes: they are nobody's signature. */
function requestOf(headers: SignatureHeaders, body: Buffer): Request | null {
  try {
    return new Request(NOWHERE, { method: 'POST', headers, body: body.toString('utf8') });
  } catch {
    return null;
  }
}

/** Of a body that was verified, and so is JSON. */
export function signedEvent(body: Buffer): SignedEvent {
  const { type, data } = JSON.parse(body.toString('utf8'));
  return { type, data };
}
