import { ServiceError } from '../errors.ts';
import { PROBLEMS } from '../http/problem-catalogue.ts';

/** 4xx are the caller's business: no error of ours, no event. */
export function isFailure(error: unknown): boolean {
  return !(error instanceof ServiceError) || PROBLEMS[error.code].status >= 500;
}

export function codeOf(error: unknown): string {
  return error instanceof ServiceError ? error.code : 'internal_error';
}

/** What may befall every request at once, for as long as it lasts. */
const OUTAGES = ['database_unavailable', 'audit_unavailable', 'overloaded'];

export function isOutage(code: string): boolean {
  return OUTAGES.includes(code);
}
