import { z } from 'zod';
import { LARGEST_LIMIT, LONGEST_WINDOW_SECONDS } from './rate-limit.ts';

const wholeUpTo = (max: number) =>
  z.int({ abort: true }).min(1, 'must be 1 or more').max(max, `must be at most ${max}`);

export const rateLimit = z
  .strictObject({
    limit: wholeUpTo(LARGEST_LIMIT).meta({ description: 'Requests that are admitted …', example: 100 }),
    windowSeconds: wholeUpTo(LONGEST_WINDOW_SECONDS).meta({ description: '… in any so many seconds.', example: 60 }),
  })
  .meta({ description: 'How often a key is admitted, in a window that slides.' });
