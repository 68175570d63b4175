import { deadlineIn } from '../time-limit.ts';
import { ConnectionTrouble, databaseError } from './database-error.ts';

/** What work on a trip may know of its limit, to leave nothing behind when it is given up. */
export interface TripLimit {
  /** It has been. */
  readonly givenUp: boolean;
  /** By now it should have been: a process that was stopped wakes up with its timers still to fire. */
  readonly isOver: boolean;
  /** Called at that moment. */
  onGivenUp: (() => void) | undefined;
}

/** Bounds a trip in time, and lets nothing of the driver's errors out: their messages hold parameter values. */
export async function trip<T>(limitMs: number, work: (limit: TripLimit) => Promise<T>): Promise<T> {
  const isOver = deadlineIn(limitMs);
  const limit = {
    givenUp: false,
    get isOver() {
      return isOver();
    },
    onGivenUp: undefined as (() => void) | undefined,
  };
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      limit.givenUp = true;
      limit.onGivenUp?.();
      reject(new ConnectionTrouble('Time limit'));
    }, limitMs);
  });
  try {
    return await Promise.race([work(limit), end]);
  } catch (error) {
    throw databaseError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What was read in time; what was read too late may be long untrue. */
export function inTime<T>(limit: TripLimit, read: T): T {
  if (limit.isOver) throw new ConnectionTrouble('Time limit');
  return read;
}
