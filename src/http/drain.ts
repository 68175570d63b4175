import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/** Knows how many requests are being answered, and ends a server without cutting any of them off. */
export class Drain {
  #inFlight = 0;
  #draining = false;

  requestStarted(): void {
    this.#inFlight += 1;
  }

  requestEnded(): void {
    this.#inFlight -= 1;
  }

  /** From the moment at which a stop begins: every answer asks its connection to close, and readiness says no. */
  get draining(): boolean {
    return this.#draining;
  }

  /**
   * While requests from before are being answered, new connections are still taken, since load balancers learn of a stop
   * with a delay. Then the server stops listening, waits for what came meanwhile, and at `limitMs` closes whatever is left.
   */
  async end(server: Server, limitMs: number): Promise<void> {
    this.#draining = true;
    const deadline = performance.now() + limitMs;
    // Under steady load there is always a request in flight: half of the time is theirs, then the door is shut.
    await this.#idle(performance.now() + limitMs / 2);

    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // server.close() waits for idle keep-alive connections, also for those that become idle only now.
    const sweep = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS);
    server.closeIdleConnections();
    await Promise.race([closed, this.#idle(deadline).then(() => sleep(LOOK_EVERY_MS))]);
    clearInterval(sweep);
    server.closeAllConnections();
    await closed;
  }

  async #idle(until: number): Promise<void> {
    while (this.#inFlight > 0 && performance.now() < until) await sleep(LOOK_EVERY_MS);
  }
}
