const BEAT_MS = 10;

let users = 0;
let lostMs = 0;
let lastMs = 0;
let heart: NodeJS.Timeout | undefined;
const sinceLastBeat = () => Math.max(0, performance.now() - lastMs - BEAT_MS);

/**
 * Tells how long something took, without the time in which this process was not given a processor: that a machine is
 * busy is not what tests measure.
 */
export async function timed<T>(work: () => Promise<T>): Promise<{ answer: T; tookMs: number }> {
  if (users === 0) {
    lastMs = performance.now();
    heart = setInterval(() => {
      lostMs += sinceLastBeat();
      lastMs = performance.now();
    }, BEAT_MS);
  }
  users += 1;
  const began = performance.now() - lostMs - sinceLastBeat();
  try {
    const answer = await work();
    return { answer, tookMs: performance.now() - lostMs - sinceLastBeat() - began };
  } finally {
    users -= 1;
    if (users === 0) clearInterval(heart);
  }
}
