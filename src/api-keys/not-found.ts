import { z } from 'zod';
import { ServiceError } from '../errors.ts';

/** An id that is no UUID belongs to no key. @throws ServiceError `api_key_not_found` */
export function requireUuid(id: string): void {
  if (!z.uuid().safeParse(id).success) keyNotFound();
}

/** Unknown keys and another organisation's are one answer. */
export function keyNotFound(): never {
  throw new ServiceError('api_key_not_found', 'This organisation has no API key with this id.');
}
