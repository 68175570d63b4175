import type { ErrorCode } from '../errors.ts';

/** How a code looks on the wire. */
export interface ProblemType {
  status: number;
  title: string;
  /** For 429, 503 and whatever passes by itself: when to come back (RFC 9110 §10.2.3), in seconds, unless an error knows better. */
  retryAfterSeconds?: number;
  /** For a 401 or 403 about a key that was sent: the `error` of its challenge (RFC 6750 §3.1). */
  challenge?: 'invalid_token' | 'insufficient_scope';
}

/** A new code does not compile until it has an entry here, and a test asks for its section in docs/errors.md. */
export const PROBLEMS: Record<ErrorCode, ProblemType> = {
  invalid_request: { status: 400, title: 'Invalid request' },
  malformed_json: { status: 400, title: 'Malformed JSON' },
  webhook_signature_invalid: { status: 400, title: 'Webhook signature invalid' },
  service_key_missing: { status: 401, title: 'Service key missing' },
  service_key_invalid: { status: 401, title: 'Service key invalid', challenge: 'invalid_token' },
  api_key_missing: { status: 401, title: 'API key missing' },
  api_key_invalid: { status: 401, title: 'API key invalid', challenge: 'invalid_token' },
  api_key_revoked: { status: 401, title: 'API key revoked', challenge: 'invalid_token' },
  api_key_disabled: { status: 401, title: 'API key disabled', challenge: 'invalid_token' },
  api_key_expired: { status: 401, title: 'API key expired', challenge: 'invalid_token' },
  insufficient_scope: { status: 403, title: 'Insufficient scope', challenge: 'insufficient_scope' },
  ip_not_allowed: { status: 403, title: 'IP address not allowed' },
  organization_suspended: { status: 403, title: 'Organisation suspended' },
  usage_exceeded: { status: 403, title: 'Usage exceeded' },
  service_key_forbidden: { status: 403, title: 'Service key forbidden', challenge: 'insufficient_scope' },
  not_found: { status: 404, title: 'Not found' },
  api_key_not_found: { status: 404, title: 'API key not found' },
  service_key_not_found: { status: 404, title: 'Service key not found' },
  provider_key_not_found: { status: 404, title: 'Provider key not found' },
  provider_key_version_not_found: { status: 404, title: 'Provider key version not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'Request timeout' },
  organization_deleted: { status: 409, title: 'Organisation deleted' },
  api_key_ended: { status: 409, title: 'API key ended' },
  api_key_rotated: { status: 409, title: 'API key rotated' },
  api_key_not_recoverable: { status: 409, title: 'API key not recoverable' },
  reveals_frozen: { status: 423, title: 'Reveals frozen' },
  idempotency_key_in_use: { status: 409, title: 'Idempotency key in use', retryAfterSeconds: 1 },
  precondition_failed: { status: 412, title: 'Precondition failed' },
  payload_too_large: { status: 413, title: 'Payload too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  provider_key_rejected: { status: 422, title: 'Provider key rejected' },
  idempotency_key_reused: { status: 422, title: 'Idempotency key reused' },
  rate_limited: { status: 429, title: 'Rate limited', retryAfterSeconds: 1 },
  headers_too_large: { status: 431, title: 'Headers too large' },
  internal_error: { status: 500, title: 'Internal error' },
  provider_key_unreadable: { status: 500, title: 'Provider key unreadable' },
  api_key_unreadable: { status: 500, title: 'API key unreadable' },
  database_unavailable: { status: 503, title: 'Database unavailable', retryAfterSeconds: 1 },
  encryption_unavailable: { status: 503, title: 'Encryption unavailable', retryAfterSeconds: 1 },
  audit_unavailable: { status: 503, title: 'Audit unavailable', retryAfterSeconds: 1 },
  overloaded: { status: 503, title: 'Overloaded', retryAfterSeconds: 1 },
};
