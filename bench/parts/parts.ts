import type { Part } from './part.ts';
import { validate } from './validate.ts';

export const PARTS: readonly Part[] = [validate];
