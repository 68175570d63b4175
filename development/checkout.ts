import { dirname } from 'node:path';

/** The root of the project, wherever the command was called from. */
export const CHECKOUT = dirname(import.meta.dirname);
