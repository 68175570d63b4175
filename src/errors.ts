/**
 * The closed set of error codes that callers may rely on. What each one means on the wire (status, title) is
 * decided at the edge, in http/problem-catalogue.ts; `docs/errors.md` has a section for every one of them.
 */
export const ERROR_CODES = [
  'invalid_request',
  'malformed_json',
  'webhook_signature_invalid',
  'service_key_missing',
  'service_key_invalid',
  'api_key_missing',
  'api_key_invalid',
  'api_key_revoked',
  'api_key_disabled',
  'api_key_expired',
  'insufficient_scope',
  'usage_exceeded',
  'organization_suspended',
  'ip_not_allowed',
  'service_key_forbidden',
  'not_found',
  'api_key_not_found',
  'service_key_not_found',
  'provider_key_not_found',
  'provider_key_version_not_found',
  'method_not_allowed',
  'request_timeout',
  'organization_deleted',
  'api_key_ended',
  'api_key_rotated',
  'api_key_not_recoverable',
  'reveals_frozen',
  'idempotency_key_in_use',
  'precondition_failed',
  'payload_too_large',
  'unsupported_media_type',
  'provider_key_rejected',
  'idempotency_key_reused',
  'rate_limited',
  'headers_too_large',
  'internal_error',
  'provider_key_unreadable',
  'api_key_unreadable',
  'database_unavailable',
  'encryption_unavailable',
  'audit_unavailable',
  'overloaded',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One thing wrong with a request: where (a JSON pointer, RFC 6901) and what, in words safe to send back. */
export interface InvalidField {
  pointer: string;
  detail: string;
}

interface ServiceErrorOptions {
  /** Facts for the log and the error monitor. Never a secret: ids, counts, SQLSTATEs. */
  context?: Record<string, string | number | boolean | null>;
  fields?: readonly InvalidField[];
  /** When it is worth another try, where that is known of this one: whole seconds, at least 1. */
  retryAfterSeconds?: number;
  cause?: unknown;
}

/**
 * The one error that use cases throw. `detail` is public: it reaches the caller as it is. `context` stays inside.
 * It knows nothing of HTTP.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly context: Record<string, string | number | boolean | null>;
  readonly fields: readonly InvalidField[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, detail: string, options: ServiceErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.context = options.context ?? {};
    this.fields = options.fields;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** More of what is wrong helps nobody, and would be an answer larger than the request. */
const MOST_FIELDS_TOLD = 100;

/** `invalid_request`, which names each field and what is wrong with it. */
export function invalidRequest(fields: readonly InvalidField[]): ServiceError {
  const first = fields[0] ?? { pointer: '', detail: 'is not valid' };
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : '';
  const subject = first.pointer === '' ? 'The request' : first.pointer.slice(1);
  return new ServiceError('invalid_request', `${subject} ${first.detail}${more}.`, {
    fields: fields.slice(0, MOST_FIELDS_TOLD),
  });
}

/**
 * Makes an error without a stack trace: one that says what is as ordinary as its opposite, so that nobody will ask where it
 * came from, and to find that out would be half of what it costs.
 */
export function traceless(make: () => ServiceError): ServiceError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
