import { isUtf8 } from 'node:buffer';
import { verifyWebhook } from '@clerk/backend/webhooks';

/** What a webhook is signed with beside its body, as Clerk's sender (Svix) calls it. */
export const SIGNATURE_HEADERS = ['svix-id', 'svix-timestamp', 'svix-signature'] as const;
export type SignatureHeaders = Record<(typeof SIGNATURE_HEADERS)[number], string>;

/** Somewhere: what is verified has no address, but Clerk's SDK takes a whole request. */
const NOWHERE = 'http://webhook.invalid/';

/**
 * Clerk's own verification: HMAC-SHA-256 over id, timestamp and body, at most five minutes old or early (Standard Webhooks).
 *
 * @returns the event, which nobody has looked at yet; null when it was not signed with this secret, or not now
 */
export async function verified(
  signingSecret: string,
  headers: SignatureHeaders,
  body: Buffer,
): Promise<{ type: unknown; data: unknown } | null> {
  // Decoding would make two different bodies one.
  if (!isUtf8(body)) return null;
  try {
    // Header values that no Request takes are nobody's signature either.
    const request = new Request(NOWHERE, { method: 'POST', headers, body: body.toString('utf8') });
    return await verifyWebhook(request, { signingSecret });
  } catch {
    return null;
  }
}
