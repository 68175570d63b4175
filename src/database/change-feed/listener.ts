import { Socket } from 'node:net';
import pg from 'pg';
import { connectionOptions, type DatabaseServer } from '../server.ts';

const CONNECT_LIMIT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export interface ListenerOptions {
  server: Pick<DatabaseServer, 'url'>;
  /** Identifiers that need no quotes. */
  channels: readonly string[];
  onNotification: (channel: string, payload: string) => void;
  /** From here on every notification arrives … */
  onListening: () => void;
  /** … and from here on they may be missed, until it listens again. Only called when it listened. */
  onLost: () => void;
}

interface Connection {
  client: pg.Client;
  socket: Socket;
  listening: boolean;
}

/** A connection of its own that receives notifications, and is made anew for as long as it takes whenever it is lost. */
export class Listener {
  readonly #options: ListenerOptions;
  #connection: Connection | undefined;
  #retry: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #ended = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Begins to listen, or to try. */
  start(): void {
    void this.#connect();
  }

  /** Lets go of a connection that looks alive and says nothing any more, for a new one. */
  renew(): void {
    if (this.#connection !== undefined) this.#lose(this.#connection);
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#retry);
    if (this.#connection !== undefined) this.#lose(this.#connection);
  }

  async #connect(): Promise<void> {
    const { server, channels, onListening } = this.#options;
    // The driver's good-bye waits for the server to hang up, which one that stopped answering never does.
    const socket = new Socket();
    const client = new pg.Client({
      ...connectionOptions(server, 'key-service change feed', CONNECT_LIMIT_MS),
      query_timeout: CONNECT_LIMIT_MS,
      stream: () => socket,
    });
    const connection = { client, socket, listening: false };
    this.#connection = connection;
    client.on('notification', (message) => this.#received(connection, message));
    client.on('error', () => this.#lose(connection));
    client.on('end', () => this.#lose(connection));
    try {
      await client.connect();
      await client.query(channels.map((channel) => `listen ${channel}`).join('; '));
    } catch {
      this.#lose(connection);
      return;
    }
    if (this.#connection !== connection) return;
    connection.listening = true;
    this.#pauseMs = FIRST_PAUSE_MS;
    onListening();
  }

  #received(connection: Connection, { channel, payload = '' }: pg.Notification): void {
    // What a connection that was given up still had to say has been missed already.
    if (this.#connection === connection && connection.listening) this.#options.onNotification(channel, payload);
  }

  #lose(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    connection.socket.destroy();
    if (connection.listening) this.#options.onLost();
    if (this.#ended) return;
    this.#retry = setTimeout(() => void this.#connect(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
