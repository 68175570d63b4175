import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { unbroken } from '../organizations/schemas.ts';
import type { CheckedVersion, ReportedVersion } from './key-states.ts';
import type { ListedVersion } from './key-versions.ts';
import type { ListedProviderKey } from './provider-keys.ts';

const INSTANT = '2026-01-31T09:30:00.000Z';

/** Of whatever hands out a secret. */
export const REVEAL_ERRORS: readonly ErrorCode[] = [
  'provider_key_not_found',
  'provider_key_unreadable',
  'reveals_frozen',
  'encryption_unavailable',
  'audit_unavailable',
];

/** Any provider of this form is accepted; there is no list to be on. */
export const provider = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .meta({ description: 'Whose key it is.', example: 'anthropic' });

export const secret = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(1).max(8192).refine(unbroken, 'must not hold white space or control characters'))
  .meta({ description: "The provider's key. White space around it is trimmed." });

export const check = z
  .boolean()
  .default(false)
  .meta({ description: 'Whether the provider is asked first if the key is good.', example: true });

/** As large as the database's column holds. */
export const version = z
  .int32()
  .min(1)
  .meta({ description: 'Counts the values that a key has had, and never twice the same.', example: 3 });

export const trouble = z.enum(['rejected', 'rate_limited']).meta({
  description: '`rejected`: the provider does not accept the key; `rate_limited`: not so many requests with it.',
  example: 'rejected',
});

const keyOwner = z.enum(['own', 'platform']);

/** Of a report. */
export const handedSource = keyOwner
  .default('own')
  .meta({ description: 'The `source` that the key was handed out with.', example: 'own' });

const maskedKey = z
  .string()
  .meta({ description: 'Four characters at each end, of long keys only.', example: 'sk-a••••3f9Q' });

const KNOWN = ['valid', 'rejected', 'rate_limited', 'unreachable', 'unchecked'] as const;

/** What is known of a secret that can be read. */
const status = z.enum(KNOWN).meta({
  description:
    'What the provider said when it was asked last (`valid`, `rejected`, `unreachable`: it gave no answer), what a caller ' +
    'reported since (`rejected`, `rate_limited`), or `unchecked`.',
  example: 'valid',
});

const shownStatus = z.enum([...KNOWN, 'unreadable', 'unavailable']).meta({
  description:
    'What is known of the key; `unreadable`: what is stored does not open; `unavailable`: the master key cannot be reached ' +
    'just now, so that it cannot be told.',
  example: 'valid',
});

const outcome = z.enum(['valid', 'rejected', 'unreachable', 'unchecked']).meta({
  description: 'What came of it; `unchecked`: this provider cannot be asked.',
  example: 'valid',
});

const createdAt = z.iso.datetime().meta({ description: 'When it was first saved.', example: INSTANT });
const savedAt = z.iso.datetime().meta({ description: 'When this version was saved.', example: INSTANT });
const updatedAt = z.iso.datetime().meta({ description: 'When its value was changed.', example: INSTANT });
const lastUsedAt = z.iso.datetime().nullable().meta({ description: 'When it was handed out last.', example: INSTANT });
const lastCheckedAt = z.iso
  .datetime()
  .nullable()
  .meta({ description: 'When its provider was asked.', example: INSTANT });

export const keyList = z.object({
  keys: z.array(
    z.object({
      provider: z.string(),
      maskedKey,
      version,
      status: shownStatus,
      createdAt,
      updatedAt,
      lastUsedAt,
      lastCheckedAt,
    }),
  ),
});

export const versionList = z.object({
  provider: z.string(),
  versions: z.array(
    z.object({
      version,
      maskedKey,
      current: z.boolean().meta({ description: 'Whether it is the one that is handed out.' }),
      status: shownStatus,
      lastCheckedAt,
      createdAt: savedAt,
    }),
  ),
});

/** The version that is current after a change. */
export const currentVersion = z.object({ provider: z.string(), maskedKey, version, status, message: z.string() });

/** A version whose provider was asked about it. */
export const checkedVersion = z.object({ provider: z.string(), version, outcome, status, lastCheckedAt });

export const reportedVersion = checkedVersion.omit({ outcome: true });

export const removedKey = z.object({ provider: z.string(), deleted: z.boolean(), message: z.string() });

export const revealedKey = z.object({
  provider: z.string(),
  key: z.string(),
  version,
  source: keyOwner.meta({
    description: "Whose key it is: the organisation's own, or the platform's.",
    example: 'own',
  }),
});

/** What alone the holder of an API key is handed. */
export const revealedOwnKey = revealedKey.extend({ source: z.literal('own') });

export const revealedPlatformKey = revealedKey.extend({ source: z.literal('platform') });

export const source = z.enum(['own', 'platform', 'own-then-platform']).meta({
  description:
    "Whose key services are handed for the organisation: its own, the platform's, or the platform's when it has none of its " +
    'own.',
  example: 'own-then-platform',
});

export function toKeyList(keys: readonly ListedProviderKey[]): z.input<typeof keyList> {
  return {
    keys: keys.map((key) => ({
      ...key,
      createdAt: key.createdAt.toISOString(),
      updatedAt: key.updatedAt.toISOString(),
      lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
      lastCheckedAt: key.lastCheckedAt?.toISOString() ?? null,
    })),
  };
}

export function toVersionList(provider: string, versions: readonly ListedVersion[]): z.input<typeof versionList> {
  return {
    provider,
    versions: versions.map((version) => ({
      ...version,
      lastCheckedAt: version.lastCheckedAt?.toISOString() ?? null,
      createdAt: version.createdAt.toISOString(),
    })),
  };
}

/** Of a version whose provider was asked, or that was reported. */
export function toState<S extends CheckedVersion | ReportedVersion>(provider: string, state: S) {
  const { lastCheckedAt, ...known } = state;
  return { provider, ...known, lastCheckedAt: lastCheckedAt?.toISOString() ?? null };
}
