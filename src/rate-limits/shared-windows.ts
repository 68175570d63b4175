import { createClient } from '@redis/client';
import { within } from '../time-limit.ts';
import { AnswerWatch } from './answer-watch.ts';
import { LARGEST_LIMIT, type Quota, type RateLimit } from './rate-limit.ts';
import { PARTS, partMsOf } from './sliding-window.ts';
import { TAKE, TAKE_SHA1 } from './take-script.ts';

const CONNECT_LIMIT_MS = 1_000;
const RETRY_MS = 1_000;
/** Commands that wait to be written; far more than come in the time of an answer. */
const MOST_WAITING = 10_000;
/** Counts nothing of anybody's. */
const PROBE = { keyId: 'probe', rateLimit: { limit: LARGEST_LIMIT, windowSeconds: 1 } };

/** Redis has not answered in time. */
class RedisSilent extends Error {
  override readonly name = 'RedisSilent';
}

interface Options {
  /** `redis://` or `rediss://`, with its password: never to be printed. */
  url: string;
  /** Told when it is lost, with the reason, and when it is there, each time and the first time. */
  onLost: (error: unknown) => void;
  onFound: () => void;
}

/**
 * Counts in Redis, or Valkey, for all replicas together. Never holds up anybody for long: what is late, fails or was lost
 * is given up at once, and looked for again in the background, by a new connection.
 */
export class SharedWindows {
  readonly #options: Options;
  /** null: it does not answer. */
  #server: Server | null = null;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: Options) {
    this.#options = options;
  }

  get isThere(): boolean {
    return this.#server !== null;
  }

  /** Looks for it, and goes on looking. Resolves after the first look, whatever it finds. */
  async start(): Promise<void> {
    await this.#look().catch((error) => this.#lost(error));
  }

  /** @throws when it does not answer in time; then it is lost, until it is found again */
  async take(keyId: string, rateLimit: RateLimit): Promise<Quota> {
    const server = this.#server;
    if (server === null) throw new RedisSilent();
    try {
      return await answerOf(server, keyId, rateLimit);
    } catch (error) {
      this.#lose(server, error);
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    if (this.#server !== null) letGo(this.#server.client);
    this.#server = null;
  }

  async #look(): Promise<void> {
    const client = newClient(this.#options.url);
    const server = { client, watch: new AnswerWatch(() => letGo(client)) };
    client.on('error', (error) => this.#lose(server, error));
    try {
      await within(CONNECT_LIMIT_MS, client.connect(), () => new RedisSilent());
      // It may connect and yet not count: a replica that only reads, a memory that is full, a user who may not.
      await answerOf(server, PROBE.keyId, PROBE.rateLimit);
    } catch (error) {
      letGo(client);
      throw error;
    }
    if (this.#isClosed) {
      letGo(client);
      return;
    }
    this.#server = server;
    this.#options.onFound();
  }

  #lose(server: Server, error: unknown): void {
    if (this.#server !== server) return;
    this.#server = null;
    // What it was asked and has not answered fails now.
    letGo(server.client);
    this.#lost(error);
  }

  #lost(error: unknown): void {
    if (this.#isClosed) return;
    this.#options.onLost(error);
    this.#lookLater();
  }

  #lookLater(): void {
    this.#retry = setTimeout(() => {
      this.#look().catch(() => {
        if (!this.#isClosed) this.#lookLater();
      });
    }, RETRY_MS);
    this.#retry.unref();
  }
}

type Client = ReturnType<typeof newClient>;

/** One connection to it. */
interface Server {
  client: Client;
  watch: AnswerWatch;
}

function newClient(url: string) {
  return createClient({
    url,
    // Without a greeting, which an older server would not know.
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // It does not keep what it cannot send, and does not connect again by itself: a new one does.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MOST_WAITING,
    socket: { connectTimeout: CONNECT_LIMIT_MS, reconnectStrategy: false },
  });
}

function letGo(client: Client): void {
  try {
    client.destroy();
  } catch {
    // It was closed already.
  }
}

/** @throws what the client or Redis says */
async function answerOf({ client, watch }: Server, keyId: string, rateLimit: RateLimit): Promise<Quota> {
  const { limit, windowSeconds } = rateLimit;
  const question = {
    // With the window: parts of another length cannot go on with the count.
    keys: [`key-service:rate-limit:${keyId}:${windowSeconds}`],
    arguments: [String(limit), String(partMsOf(windowSeconds)), String(PARTS)],
  };
  const asked = client
    .evalSha(TAKE_SHA1, question)
    .catch((error) => (isUnknownScript(error) ? client.eval(TAKE, question) : Promise.reject(error)));
  const [admitted, remaining, waitMs] = (await watch.watch(asked)) as unknown as [number, number, number];
  return { rateLimit, admitted: admitted === 1, remaining, waitMs };
}

/** After a restart Redis has to be told again. */
function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
