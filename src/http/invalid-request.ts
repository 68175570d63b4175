import type { z } from 'zod';
import { type InvalidField, ServiceError } from '../errors.ts';
import { publicName } from './safe-text.ts';

/** More of what is wrong helps nobody, and would be an answer larger than the request. */
const MOST_FIELDS_TOLD = 100;

/** A 400 that names each field and what is wrong with it. */
export function invalidRequest(fields: readonly InvalidField[]): ServiceError {
  const first = fields[0] ?? { pointer: '', detail: 'is not valid' };
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : '';
  const subject = first.pointer === '' ? 'The request' : first.pointer.slice(1);
  return new ServiceError('invalid_request', `${subject} ${first.detail}${more}.`, {
    fields: fields.slice(0, MOST_FIELDS_TOLD),
  });
}

/** Names below the second are the caller's own, of its metadata say, and are not sent back. Places in a list are no names. */
const NAMES_TOLD = 2;

function toldPath(path: readonly PropertyKey[]): string[] {
  let names = 0;
  const ownNames = path.findIndex((segment) => {
    if (typeof segment !== 'number') names += 1;
    return names > NAMES_TOLD;
  });
  const told = ownNames === -1 ? path : path.slice(0, ownNames);
  return told.map((segment) => `/${publicName(String(segment))}`);
}

function toFields(issue: z.core.$ZodIssue): InvalidField[] {
  const path = toldPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: [...path, `/${publicName(key)}`].join(''),
      detail: 'is not a known field',
    }));
  }
  return [{ pointer: path.join(''), detail: issue.message }];
}

/** A parameter that may be sent once, and was sent more often, is an array where a string is expected. */
function toParameters(issue: z.core.$ZodIssue): InvalidField[] {
  const repeated = issue.code === 'invalid_type' && issue.expected === 'string' && issue.message !== 'is required';
  return toFields(repeated ? { ...issue, message: 'must be sent once' } : issue);
}

/** A header is no field that a pointer could name; the message does. */
function toRequest({ message }: z.core.$ZodIssue): InvalidField[] {
  return [{ pointer: '', detail: message }];
}

/** By part of a request: how that is told which its schema finds wrong. */
export const TOLD = { params: toFields, query: toParameters, headers: toRequest, body: toFields };
