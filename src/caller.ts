/** What is known of the request that a caller acts through; on the command line there is none. */
export interface Origin {
  requestId: string;
  /** The peer's address as the server sees it. */
  address: string | null;
}

/** Another backend of the platform, known by the name of the service key that it sent. */
export interface ServiceCaller extends Origin {
  kind: 'service';
  name: string;
}

/** A customer, known by a valid API key of one organisation. */
export interface ApiKeyCaller extends Origin {
  kind: 'apiKey';
  apiKeyId: string;
  organizationId: string;
}

/**
 * Who acts. The first argument of every use case, so that authorising and recording can never be forgotten by the one
 * who writes an endpoint.
 */
export type Caller = ServiceCaller | ApiKeyCaller;

/** The name under which a caller appears in logs; never a secret. */
export function callerName(caller: Caller): string {
  return caller.kind === 'service' ? `service:${caller.name}` : `api-key:${caller.apiKeyId}`;
}
