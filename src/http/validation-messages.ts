import type { z } from 'zod';

/** Says what is wrong with a field, as the end of a sentence that starts with its name; never repeats the value. */
export function validationMessage(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be of type ${issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return `must have at least ${issue.minimum} ${unit(issue.origin)}`;
    case 'too_big':
      return `must have at most ${issue.maximum} ${unit(issue.origin)}`;
    case 'invalid_format':
      return issue.format === 'datetime' ? 'must be an RFC 3339 date and time' : `must match ${issue.pattern}`;
    case 'unrecognized_keys':
    case 'custom':
      return undefined;
    default:
      return 'is not valid';
  }
}

function unit(origin: string): string {
  if (origin === 'string') return 'characters';
  return origin === 'array' ? 'items' : 'as its value';
}
