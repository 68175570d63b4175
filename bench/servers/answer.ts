/** What a peer without a database answers: as long as an answer of Key Service, so that sending it costs the same. */
export const CONSTANT_ANSWER = {
  valid: true,
  orgId: '01937d2e-0000-7000-8000-000000000000',
  clerkOrgId: 'org_bench_0',
  clerkUserId: 'user_bench',
  configuredProviders: ['openai'],
  membership: 'fresh',
  apiKey: {
    id: '01937d2e-0000-7000-8000-000000000001',
    name: 'Key 1',
    environment: 'live',
    scopes: null,
    metadata: {},
    expiresAt: null,
  },
};
