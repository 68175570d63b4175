/** What is known of the request that a caller acts through; on the command line there is none. */
export interface Origin {
  requestId: string;
  /** Where it comes from; in one form, see `normalAddress`. */
  address: string | null;
}

/** Of a request that came over HTTP. */
export interface RequestOrigin extends Origin {
  /** The address is known to be the client's own, and not that of a proxy or a gateway between. */
  addressIsClients: boolean;
}

/** All that a service key can allow. What none of these names is the root caller's alone. */
export const PERMISSIONS = [
  'api-keys:read',
  'api-keys:write',
  'api-keys:recover',
  'provider-keys:read',
  'provider-keys:write',
  'provider-keys:reveal',
  'audit:read',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** The name of whoever holds KEY_SERVICE_API_KEY, or the previous one. No service key can be given it. */
export const ROOT = 'root';

/** Another backend of the platform, known by the name of the service key that it sent. */
export interface ServiceCaller extends Origin {
  kind: 'service';
  name: string;
  /** null: everything, which only the root caller may. */
  permissions: readonly Permission[] | null;
  /** Whose keys it may be shown, if it may be shown any; null: all providers'. */
  revealProviders: readonly string[] | null;
}

/** A customer, known by a valid API key of one organisation. */
export interface ApiKeyCaller extends Origin {
  kind: 'apiKey';
  apiKeyId: string;
  organizationId: string;
}

/** An operator at a terminal, or the service itself at work that nobody asked for; `name` says which command or work. */
export interface OperatingCaller extends Origin {
  kind: 'commandLine' | 'system';
  name: string;
}

/**
 * Who acts. The first argument of every use case, so that authorising and recording can never be forgotten by the one
 * who writes an endpoint.
 */
export type Caller = ServiceCaller | ApiKeyCaller | OperatingCaller;

/** What kind of caller it is, as logs and the audit call it. */
export const CALLER_KINDS = {
  service: 'service',
  apiKey: 'api-key',
  commandLine: 'command-line',
  system: 'system',
} as const satisfies Record<Caller['kind'], string>;

/** Its kind and its name among its kind; never a secret. */
export function identityOf(caller: Caller): { kind: string; name: string } {
  return { kind: CALLER_KINDS[caller.kind], name: caller.kind === 'apiKey' ? caller.apiKeyId : caller.name };
}

/** The name under which a caller appears in logs; never a secret. */
export function callerName(caller: Caller): string {
  const { kind, name } = identityOf(caller);
  return `${kind}:${name}`;
}
