import type { Results } from '../results.ts';

export async function writeReport(_results: Results): Promise<void> {}
