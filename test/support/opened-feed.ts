import type { Change } from '../../src/database/change-feed/change.ts';
import { ChangeFeed } from '../../src/database/change-feed/change-feed.ts';
import { notifyThrough } from '../../src/database/change-feed/notify.ts';
import { openDatabase } from '../../src/database/database.ts';

/** A feed on a real database, with what it told so far, and its probes in the hands of the test. */
export interface OpenedFeed {
  feed: ChangeFeed;
  /** Everything it told of, in order. */
  told: Change[];
  /** The lease had and lost, in order. */
  leases: boolean[];
  /** How many probes came back. */
  probesBack(): number;
  /** From now on probes are not sent; letting them go sends those that were held back, and every later one. */
  holdProbes(): void;
  letProbesGo(): void;
  /** Takes those that are held back now out of the hands of `letProbesGo`; it returns what sends them. */
  takeHeldProbes(): () => Promise<void>;
  heldProbes(): number;
  close(): Promise<void>;
}

export interface FeedOptions {
  /** Where probes are sent through. */
  url: string;
  /** Where it listens. */
  directUrl?: string;
  leaseMs?: number;
  /** Called before each probe goes to the database. */
  onSend?: () => void;
  onProbe?: () => void;
}

export function openFeed({ url, directUrl = url, leaseMs = 400, onSend, onProbe }: FeedOptions): OpenedFeed {
  const database = openDatabase({ server: { url, pooled: false }, poolMax: 3, onIdleConnectionLost: () => {} });
  const send = notifyThrough(database);
  const told: Change[] = [];
  const leases: boolean[] = [];
  let back = 0;
  let holding = false;
  let held: (() => Promise<unknown>)[] = [];
  const takeHeldProbes = () => {
    const taken = held;
    held = [];
    return async () => {
      for (const go of taken) await go();
    };
  };
  const feed = new ChangeFeed({
    server: { url: directUrl },
    leaseMs,
    notify(channel, payload) {
      onSend?.();
      if (!holding) return send(channel, payload);
      return new Promise((resolve, reject) => {
        held.push(() => send(channel, payload).then(resolve, reject));
      });
    },
    onLease: (had) => leases.push(had),
    onProbe() {
      back += 1;
      onProbe?.();
    },
  });
  feed.subscribe((change) => told.push(change));
  return {
    feed,
    told,
    leases,
    probesBack: () => back,
    holdProbes() {
      holding = true;
    },
    letProbesGo() {
      holding = false;
      void takeHeldProbes()();
    },
    takeHeldProbes,
    heldProbes: () => held.length,
    async close() {
      feed.stop();
      await database.close(1_000);
    },
  };
}
