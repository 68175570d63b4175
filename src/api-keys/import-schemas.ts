import { z } from 'zod';
import { hashKey } from '../key-format.ts';
import { clerkOrgId } from '../organizations/schemas.ts';
import { environment, name } from './schemas.ts';
import { settings } from './settings.ts';
import { lacksLimit, NEEDS_LIMIT } from './usage-limit.ts';

const MOST_KEYS = 1_000;
/** As much as is shown of a key with the longest API_KEY_PREFIX there may be, `<16 letters>_live_` and four characters. */
const LONGEST_PREFIX = 26;
const LONGEST_END = 4;

/** What a header can carry, RFC 9110 §5.5, without what would be trimmed. */
const shown = (longest: number) => z.string().regex(new RegExp(`^[\\x21-\\x7e]{0,${longest}}$`));

/** 32 bytes: 64 hexadecimal digits, or base64 (RFC 4648 §4 or §5), padded or not. */
const sha256 = z
  .string()
  .refine(isSha256, { abort: true, message: 'must be a SHA-256, as 64 hexadecimal digits or as base64' })
  .transform(bytesOf)
  .meta({
    description: 'SHA-256 of the whole key, hexadecimal or base64.',
    example: 'RRkFXS1/Zt5+AbnE60/KvKYBDqjgQ7JZSr6IawDU7c0=',
  });

function isSha256(text: string): boolean {
  if (/^[0-9a-f]{64}$/i.test(text)) return true;
  // The last of 43 characters carries four bits: any other two would be another text for the same bytes.
  return /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=?$|^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?$/.test(text);
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, text.length === 64 ? 'hex' : 'base64');
}

/** A key that was issued elsewhere. */
const importedKey = z
  .strictObject({
    clerkOrgId,
    sha256,
    name: name.nullish(),
    environment: environment.default('live'),
    enabled: z.boolean().default(true),
    ...settings,
    keyPrefix: shown(LONGEST_PREFIX)
      .default('')
      .meta({ description: 'The start of the key, to recognise it by.', example: 'sk_old_' }),
    last4: shown(LONGEST_END).default('').meta({ description: 'Its end.' }),
  })
  .superRefine(({ sha256, keyPrefix, last4, remainingUses, refill }, context) => {
    if (lacksLimit({ remainingUses, refill })) {
      context.addIssue({ code: 'custom', path: ['refill'], message: NEEDS_LIMIT });
    }
    if (!isWholeKey(sha256, keyPrefix, last4)) return;
    context.addIssue({ code: 'custom', path: ['keyPrefix'], message: 'must not be the whole key' });
  });

/** Whether the start and the end of a key are all of it, also where they overlap: it would be stored in the clear. */
function isWholeKey(sha256: Buffer, start: string, end: string): boolean {
  for (let overlap = 0; overlap <= Math.min(start.length, end.length); overlap += 1) {
    if (start.endsWith(end.slice(0, overlap)) && hashKey(start + end.slice(overlap)).equals(sha256)) return true;
  }
  return false;
}

export const importedKeys = z.array(importedKey).min(1).max(MOST_KEYS);

export const importResult = z.union([
  z.object({ status: z.literal('imported'), id: z.uuid() }),
  z.object({ status: z.literal('duplicate') }),
]);
