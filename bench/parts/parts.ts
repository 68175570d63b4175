import { attack } from './attack.ts';
import { auditedReveal } from './audited-reveal.ts';
import { cold } from './cold.ts';
import { growth } from './growth.ts';
import { issueRevoke } from './issue-revoke.ts';
import type { Part } from './part.ts';
import { rateLimit } from './rate-limit.ts';
import { reveal } from './reveal.ts';
import { revocation } from './revocation.ts';
import { usageLimit } from './usage-limit.ts';
import { validate } from './validate.ts';

export const PARTS: readonly Part[] = [
  validate,
  reveal,
  auditedReveal,
  rateLimit,
  usageLimit,
  cold,
  attack,
  growth,
  revocation,
  issueRevoke,
];
