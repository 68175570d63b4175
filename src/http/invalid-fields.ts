import type { z } from 'zod';
import type { InvalidField } from '../errors.ts';
import { publicName } from './safe-text.ts';

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
