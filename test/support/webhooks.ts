import { createHmac, randomUUID } from 'node:crypto';
import type { Answer, Client } from './client.ts';

/** Obviously nobody's. */
const SIGNING_KEY = 'not-a-real-webhook-signing-key';
export const SIGNING_SECRET = `whsec_${Buffer.from(SIGNING_KEY).toString('base64')}`;

export interface Delivery {
  id?: string;
  /** When it was sent, in seconds since 1970. */
  at?: number;
  key?: string | Buffer;
  headers?: Record<string, string>;
}

/** Headers as Clerk sends them: HMAC-SHA-256 of `id.timestamp.body` (Standard Webhooks). */
export function signedHeaders(
  body: string,
  { id, at, key = SIGNING_KEY, headers }: Delivery = {},
): Record<string, string> {
  const deliveryId = id ?? `msg_${randomUUID()}`;
  const timestamp = String(at ?? Math.floor(Date.now() / 1000));
  const signature = createHmac('sha256', key).update(`${deliveryId}.${timestamp}.${body}`).digest('base64');
  return { 'svix-id': deliveryId, 'svix-timestamp': timestamp, 'svix-signature': `v1,${signature}`, ...headers };
}

/** Sends an event as Clerk does. */
export function sendEvent(
  service: Pick<Client, 'request'>,
  type: string,
  data: unknown,
  delivery: Delivery = {},
): Promise<Answer> {
  const body = JSON.stringify({ data, object: 'event', type, timestamp: 0, instance_id: 'ins_not_a_real_one' });
  return service.request('POST', '/webhooks/clerk', { body, headers: signedHeaders(body, delivery) });
}

export function organizationDeleted(service: Pick<Client, 'request'>, id: string, delivery?: Delivery) {
  return sendEvent(service, 'organization.deleted', { deleted: true, id, object: 'organization' }, delivery);
}
