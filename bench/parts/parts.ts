import { attack } from './attack.ts';
import { cold } from './cold.ts';
import { issueRevoke } from './issue-revoke.ts';
import type { Part } from './part.ts';
import { reveal } from './reveal.ts';
import { validate } from './validate.ts';

export const PARTS: readonly Part[] = [validate, reveal, cold, attack, issueRevoke];
