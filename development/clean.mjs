// Removes what an earlier build left, so that a deleted source does not live on in dist/.
import { rm } from 'node:fs/promises';

await rm(new URL('../dist', import.meta.url), { recursive: true, force: true });
