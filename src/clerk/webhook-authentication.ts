import type { OperatingCaller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import type { Authentication } from '../http/endpoint.ts';
import { SIGNATURE_HEADERS, type SignatureHeaders } from './webhook.ts';

/** Clerk, if the body says so too: what is signed is the body, which nobody has read yet. */
export interface WebhookCaller extends OperatingCaller {
  kind: 'system';
  signed: SignatureHeaders;
}

/** A body that nobody claims to have signed is not even read. */
export const webhookAuthentication: Authentication<WebhookCaller> = {
  security: 'webhookSignature',
  needs: null,
  errors: ['webhook_signature_invalid'],
  authenticate({ header, origin }) {
    const values = SIGNATURE_HEADERS.map((name) => [name, header(name)] as const);
    if (values.some(([, value]) => !value)) throw signatureInvalid('headers');
    const signed = Object.fromEntries(values) as SignatureHeaders;
    return { ...origin, kind: 'system', name: 'clerk-webhook', signed };
  },
};

/** Why is for the log: whoever forges is not told how far they got. */
export function signatureInvalid(reason: 'headers' | 'signature'): ServiceError {
  return new ServiceError('webhook_signature_invalid', "This is not a webhook of Clerk's, or it is not of now.", {
    context: { reason },
  });
}
