import { ERROR_CODES, ServiceError } from '../errors.ts';
import { PROBLEMS } from '../http/problem-catalogue.ts';

/** 4xx are the caller's business: no error of ours, no event. */
export function isFailure(error: unknown): boolean {
  return !(error instanceof ServiceError) || PROBLEMS[error.code].status >= 500;
}

export function codeOf(error: unknown): string {
  return error instanceof ServiceError ? error.code : 'internal_error';
}

/** What may befall every request at once, for as long as it lasts: whatever is 503. */
const OUTAGES: readonly string[] = ERROR_CODES.filter((code) => PROBLEMS[code].status === 503);

export function isOutage(code: string): boolean {
  return OUTAGES.includes(code);
}
