/** Every path that the service answers, with an example, who may call it, and its methods as `Allow` tells them. */
export const ROUTES = [
  { path: '/health', example: '/health', caller: 'anyone', allow: 'GET, HEAD' },
  { path: '/health/ready', example: '/health/ready', caller: 'anyone', allow: 'GET, HEAD' },
  { path: '/validate', example: '/validate', caller: 'holder', allow: 'GET, HEAD' },
  { path: '/validate/keys/{provider}', example: '/validate/keys/openai', caller: 'holder', allow: 'GET' },
  { path: '/validate/self', example: '/validate/self', caller: 'holder', allow: 'GET, HEAD' },
  { path: '/validate/self/revoke', example: '/validate/self/revoke', caller: 'holder', allow: 'POST' },
  { path: '/internal/api-keys', example: '/internal/api-keys', caller: 'service', allow: 'GET, HEAD, POST' },
  {
    path: '/internal/api-keys/{id}',
    example: '/internal/api-keys/01890000-0000-7000-8000-000000000000',
    caller: 'service',
    allow: 'GET, HEAD, DELETE, PATCH',
  },
  {
    path: '/internal/api-keys/{id}/rotate',
    example: '/internal/api-keys/01890000-0000-7000-8000-000000000000/rotate',
    caller: 'service',
    allow: 'POST',
  },
  { path: '/internal/api-keys/import', example: '/internal/api-keys/import', caller: 'service', allow: 'POST' },
  { path: '/internal/api-keys/validate', example: '/internal/api-keys/validate', caller: 'service', allow: 'POST' },
  { path: '/internal/api-keys/identify', example: '/internal/api-keys/identify', caller: 'service', allow: 'POST' },
  {
    path: '/internal/organizations/{clerkOrgId}/revoke-api-keys',
    example: '/internal/organizations/org_nobody/revoke-api-keys',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/api-keys/{id}/usage',
    example: '/internal/api-keys/01890000-0000-7000-8000-000000000000/usage',
    caller: 'service',
    allow: 'GET, HEAD',
  },
  {
    path: '/internal/organizations/{clerkOrgId}/usage',
    example: '/internal/organizations/org_nobody/usage',
    caller: 'service',
    allow: 'GET, HEAD',
  },
  { path: '/internal/keys', example: '/internal/keys', caller: 'service', allow: 'GET, HEAD, POST' },
  { path: '/internal/keys/{provider}', example: '/internal/keys/openai', caller: 'service', allow: 'DELETE' },
  {
    path: '/internal/keys/{provider}/decrypt',
    example: '/internal/keys/openai/decrypt',
    caller: 'service',
    allow: 'GET',
  },
  {
    path: '/internal/organizations/{clerkOrgId}',
    example: '/internal/organizations/org_nobody',
    caller: 'service',
    allow: 'DELETE',
  },
  {
    path: '/internal/organizations/{clerkOrgId}/suspend',
    example: '/internal/organizations/org_nobody/suspend',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/organizations/{clerkOrgId}/resume',
    example: '/internal/organizations/org_nobody/resume',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/organizations/{clerkOrgId}/freeze-reveals',
    example: '/internal/organizations/org_nobody/freeze-reveals',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/organizations/{clerkOrgId}/unfreeze-reveals',
    example: '/internal/organizations/org_nobody/unfreeze-reveals',
    caller: 'service',
    allow: 'POST',
  },
  { path: '/internal/freeze-reveals', example: '/internal/freeze-reveals', caller: 'service', allow: 'POST' },
  { path: '/internal/unfreeze-reveals', example: '/internal/unfreeze-reveals', caller: 'service', allow: 'POST' },
  { path: '/webhooks/clerk', example: '/webhooks/clerk', caller: 'clerk', allow: 'POST' },
  { path: '/internal/providers', example: '/internal/providers', caller: 'service', allow: 'GET, HEAD' },
  {
    path: '/internal/keys/{provider}/versions',
    example: '/internal/keys/openai/versions',
    caller: 'service',
    allow: 'GET, HEAD',
  },
  {
    path: '/internal/keys/{provider}/rollback',
    example: '/internal/keys/openai/rollback',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/keys/{provider}/report',
    example: '/internal/keys/openai/report',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/keys/{provider}/source',
    example: '/internal/keys/openai/source',
    caller: 'service',
    allow: 'GET, HEAD, PUT',
  },
  { path: '/internal/platform-keys', example: '/internal/platform-keys', caller: 'service', allow: 'GET, HEAD, POST' },
  {
    path: '/internal/platform-keys/{provider}',
    example: '/internal/platform-keys/openai',
    caller: 'service',
    allow: 'DELETE',
  },
  {
    path: '/internal/platform-keys/{provider}/decrypt',
    example: '/internal/platform-keys/openai/decrypt',
    caller: 'service',
    allow: 'GET',
  },
  {
    path: '/internal/platform-keys/{provider}/versions',
    example: '/internal/platform-keys/openai/versions',
    caller: 'service',
    allow: 'GET, HEAD',
  },
  {
    path: '/internal/platform-keys/{provider}/rollback',
    example: '/internal/platform-keys/openai/rollback',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/platform-keys/{provider}/check',
    example: '/internal/platform-keys/openai/check',
    caller: 'service',
    allow: 'POST',
  },
  {
    path: '/internal/platform-keys/{provider}/report',
    example: '/internal/platform-keys/openai/report',
    caller: 'service',
    allow: 'POST',
  },
  { path: '/internal/keys/{provider}/check', example: '/internal/keys/openai/check', caller: 'service', allow: 'POST' },
  { path: '/internal/service-keys', example: '/internal/service-keys', caller: 'service', allow: 'GET, HEAD, POST' },
  {
    path: '/internal/service-keys/{id}',
    example: '/internal/service-keys/01890000-0000-7000-8000-000000000000',
    caller: 'service',
    allow: 'DELETE',
  },
  { path: '/internal/leak-reports', example: '/internal/leak-reports', caller: 'service', allow: 'POST' },
  { path: '/internal/audit-events', example: '/internal/audit-events', caller: 'service', allow: 'GET, HEAD' },
] as const;

/** Every operation: a path with one of its methods. HEAD goes with GET. */
export const OPERATIONS = ROUTES.flatMap(({ allow, ...route }) =>
  allow
    .split(', ')
    .filter((method) => method !== 'HEAD')
    .map((method) => ({ ...route, method })),
);
