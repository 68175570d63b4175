import { ConnectionTrouble, databaseError } from './database-error.ts';

/** What work on a trip may know of its limit, to leave nothing behind when it is given up. */
export interface TripLimit {
  /** When that is, by the monotonic clock in ms. */
  readonly deadline: number;
  /** It has been. */
  readonly givenUp: boolean;
  /** Called at that moment. */
  onGivenUp: (() => void) | undefined;
}

/** Bounds a trip in time, and lets nothing of the driver's errors out: their messages hold parameter values. */
export async function trip<T>(limitMs: number, work: (limit: TripLimit) => Promise<T>): Promise<T> {
  const limit = {
    deadline: performance.now() + limitMs,
    givenUp: false,
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
