import { createHash, randomUUID } from 'node:crypto';

/** A key as somebody else may have issued it, and its hash in both forms. */
export interface KeyFromElsewhere {
  key: string;
  hex: string;
  base64: string;
}

export function keyFromElsewhere(key = `sk_old_${randomUUID()}`): KeyFromElsewhere {
  const hash = createHash('sha256').update(key).digest();
  return { key, hex: hash.toString('hex'), base64: hash.toString('base64') };
}
