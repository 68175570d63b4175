import { randomFillSync } from 'node:crypto';
import { V7Generator } from 'uuidv7';

/** For some hundred ids. The library fetches 32 bytes at a time, which takes longer than all the rest of an id. */
const POOLED_WORDS = 1_024;

const pool = new Uint32Array(POOLED_WORDS);
let used = POOLED_WORDS;

function nextUint32(): number {
  if (used === POOLED_WORDS) {
    randomFillSync(pool);
    used = 0;
  }
  const word = pool[used] ?? 0;
  used += 1;
  return word;
}

const generator = new V7Generator({ nextUint32 });

/**
 * An id for an event, a UUIDv7 (RFC 9562 §5.7). Sorted, they are in the order in which this process made them, unless its
 * clock is set back by more than 10 s.
 */
export const newEventId = (): string => generator.generate().toString();
