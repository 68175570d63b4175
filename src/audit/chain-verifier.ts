import type { DataKey } from '../encryption/sealed-secret.ts';
import { type CheckpointText, checkpointSignature, type EventText, macOf } from './event-mac.ts';

/** An event as the database has it. */
export interface StoredEvent {
  text: EventText;
  mac: Buffer;
}

/** A checkpoint as the database has it. */
export interface StoredCheckpoint {
  text: CheckpointText;
  signature: Buffer;
}

/** What is wrong with a chain, first of all; `sequence` is that of the event, the checkpoint or the head. */
export interface Fault {
  kind: /** The event is not there. */
    | 'missing'
    /** Its content, its MAC or its place is not what was written. */
    | 'altered'
    /** It names a data key that is not there, or does not open: it was forged, or data_keys was altered. */
    | 'unknown_key'
    /** The checkpoint was not signed by this service, or not as it stands. */
    | 'checkpoint_altered'
    /** The chain's head is gone, or is not its newest event. */
    | 'head_altered'
    /** An event that was in the log is no longer in the chain, which ends before it. */
    | 'tail_cut'
    /** Another event stands where the log has one: the end was cut off, and the chain went on. */
    | 'rewritten';
  sequence: number;
  /** The id of the event that stands there; null when none does. */
  eventId: string | null;
}

/** Finds a key by its id; null when it is not there or does not open. */
export type FindKey = (dataKeyId: string) => Promise<DataKey | null>;

/** Of the MAC of an event, what the log has of it, by sequence; hexadecimal. */
export type LoggedMacs = ReadonlyMap<number, string>;

/** As many digits as the log has of a MAC: 128 bits. */
export const LOGGED_MAC_DIGITS = 32;
const NOTHING_LOGGED: LoggedMacs = new Map();

/**
 * Follows one chain from its checkpoint, or its beginning, to its end. Its events are given in the order of their
 * sequence; nothing is looked at after the first fault.
 */
export class ChainVerifier {
  readonly #findKey: FindKey;
  readonly #logged: LoggedMacs;
  readonly #keys = new Map<string, DataKey | null>();
  #sequence = 0;
  #mac: Buffer = Buffer.alloc(0);

  constructor(findKey: FindKey, logged: LoggedMacs = NOTHING_LOGGED) {
    this.#findKey = findKey;
    this.#logged = logged;
  }

  /** The newest event that was verified. */
  get position(): { sequence: number; mac: Buffer } {
    return { sequence: this.#sequence, mac: this.#mac };
  }

  /** What is there begins after the checkpoint; null when there is none. */
  async begin(checkpoint: StoredCheckpoint | null): Promise<Fault | null> {
    if (checkpoint === null) return null;
    const { text, signature } = checkpoint;
    const sequence = Number(text.sequence);
    const key = await this.#key(text.dataKeyId);
    if (key === null || !checkpointSignature(key.key, text).equals(signature)) {
      return { kind: 'checkpoint_altered', sequence, eventId: null };
    }
    this.#sequence = sequence;
    this.#mac = Buffer.from(text.mac, 'hex');
    // What the log has of events before it cannot be compared any more.
    return this.#compareWithLog(null);
  }

  async next({ text, mac }: StoredEvent): Promise<Fault | null> {
    const expected = this.#sequence + 1;
    const eventId = text.id;
    if (Number(text.sequence) > expected) return { kind: 'missing', sequence: expected, eventId: null };
    const key = text.dataKeyId === null ? null : await this.#key(text.dataKeyId);
    if (key === null) return { kind: 'unknown_key', sequence: expected, eventId };
    if (Number(text.sequence) !== expected || !macOf(key.key, text, this.#mac).equals(mac)) {
      return { kind: 'altered', sequence: Number(text.sequence), eventId };
    }
    this.#sequence = expected;
    this.#mac = mac;
    return this.#compareWithLog(eventId);
  }

  /** After the last event. @param head null when the chain has none */
  end(head: { sequence: number; mac: Buffer } | null): Fault | null {
    const cutAt = this.#firstLoggedAfter(this.#sequence);
    if (head !== null && head.sequence > this.#sequence) {
      return { kind: 'missing', sequence: this.#sequence + 1, eventId: null };
    }
    if (cutAt !== null) return { kind: 'tail_cut', sequence: this.#sequence + 1, eventId: null };
    if (head === null || head.sequence !== this.#sequence || !head.mac.equals(this.#mac)) {
      return { kind: 'head_altered', sequence: head?.sequence ?? 0, eventId: null };
    }
    return null;
  }

  #compareWithLog(eventId: string | null): Fault | null {
    const logged = this.#logged.get(this.#sequence);
    if (logged === undefined || this.#mac.toString('hex').startsWith(logged)) return null;
    return { kind: 'rewritten', sequence: this.#sequence, eventId };
  }

  #firstLoggedAfter(sequence: number): number | null {
    for (const logged of this.#logged.keys()) if (logged > sequence) return logged;
    return null;
  }

  async #key(id: string): Promise<DataKey | null> {
    let key = this.#keys.get(id);
    if (key === undefined) {
      key = await this.#findKey(id);
      this.#keys.set(id, key);
    }
    return key;
  }
}
