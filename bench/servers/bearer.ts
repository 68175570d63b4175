import { createHash } from 'node:crypto';
import type { Request } from 'express';

/** The key of a request, or an empty string. */
export function bearerOf(request: Request): string {
  return request.headers.authorization?.replace(/^Bearer /, '') ?? '';
}

export function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
