import type { OperatingCaller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import type { Authentication } from '../http/endpoint.ts';
import { SIGNATURE_HEADERS, type SignatureHeaders, type Unverified, whyUnverified } from './webhook.ts';

/** Clerk, if the body says so too: what is signed is the body. */
interface WebhookCaller extends OperatingCaller {
  kind: 'system';
  signed: SignatureHeaders;
}

/** A body that nobody claims to have signed is not even read. */
export function webhookAuthentication(signingSecret: string): Authentication<WebhookCaller> {
  return {
    security: 'webhookSignature',
    needs: null,
    errors: ['webhook_signature_invalid'],
    authenticate({ header, origin: { requestId, address } }) {
      const values = SIGNATURE_HEADERS.map((name) => [name, header(name)] as const);
      if (values.some(([, value]) => !value)) throw signatureInvalid('headers');
      const signed = Object.fromEntries(values) as SignatureHeaders;
      return { requestId, address, kind: 'system', name: 'clerk-webhook', signed };
    },
    async prove({ signed }, { rawBody }) {
      const reason = await whyUnverified(signingSecret, signed, rawBody as Buffer);
      if (reason !== null) throw signatureInvalid(reason);
    },
  };
}

/** Why is for the log: whoever forges is not told how far they got. */
function signatureInvalid(reason: Unverified): ServiceError {
  return new ServiceError('webhook_signature_invalid', "This is not a webhook of Clerk's, or it is not of now.", {
    context: { reason },
  });
}
