import { setFlagsFromString } from 'node:v8';

/**
 * By how much the heap may grow, in percent of what lived after it was last collected as a whole, before that is done again.
 * V8 takes up to 300 where much is allocated in little time, and keys that are met and forgotten fast made the process grow by
 * twice CACHE_MAX_BYTES; `npm run bench -- growth` measures it.
 */
const HEAP_GROWING_PERCENT = 50;

/** To be called before anything is remembered. V8 reads the option each time that it has collected. */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}
