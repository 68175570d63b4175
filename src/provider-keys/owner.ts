/** Whose key: an organisation's, as services name it or by its row id, or with null the platform's own. */
export type Owner = { clerkOrgId: string } | { organizationId: string | null };

export const PLATFORM = { organizationId: null } as const satisfies Owner;
