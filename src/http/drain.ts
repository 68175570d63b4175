import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/**
 * Ends a server without cutting anyone off. While requests from before are being answered, new connections are still
 * taken and answered with `Connection: close` (the app sees to that), since load balancers learn of a stop with a delay.
 * Then it stops listening, waits for what came meanwhile, and at `limitMs` closes whatever is left.
 *
 * @param inFlight how many requests are being answered
 */
export async function drain(server: Server, inFlight: () => number, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  const idle = async (until: number) => {
    while (inFlight() > 0 && performance.now() < until) await sleep(LOOK_EVERY_MS);
  };
  // Under steady load there is always a request in flight: half of the time is theirs, then the door is shut.
  await idle(performance.now() + limitMs / 2);

  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // server.close() waits for idle keep-alive connections, also for those that become idle only now.
  const sweep = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS);
  server.closeIdleConnections();
  await Promise.race([closed, idle(deadline).then(() => sleep(LOOK_EVERY_MS))]);
  clearInterval(sweep);
  server.closeAllConnections();
  await closed;
}
