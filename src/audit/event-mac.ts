import { createHmac } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { encodeAad } from '../encryption/aad.ts';
import type { ChainedEvent } from './event.ts';

/*
 * The MAC of an event: HMAC-SHA-256 under the `audit` data key that it names, over (see encryption/aad.ts)
 *
 *     'audit-event' | '1' | MAC of the event before, hexadecimal, or '' | id | chain | sequence | occurredAt | actorKind | actor
 *       | action | targetType | targetId | provider | requestId | address | details | dataKeyId
 *
 * A column is '' for NULL, else '=' and its text: UUIDs in lower case, the instant in milliseconds since 1970, `details` as
 * JSON with sorted names and no spaces.
 */
const EVENT = 'audit-event';
const CHECKPOINT = 'audit-checkpoint';
const VERSION = '1';

/** Every column of an event that its MAC is made over, as text; null for NULL, wherever that may stand in the database. */
export type EventText = Record<Exclude<keyof ChainedEvent, 'mac'>, string | null>;

/** Where retention has cut a chain: the newest event that is gone. */
export interface CheckpointText {
  chain: string;
  sequence: string;
  /** Of that event, hexadecimal. */
  mac: string;
  /** Milliseconds since 1970. */
  cutAt: string;
  dataKeyId: string;
}

/** Field by field, like all that every reveal passes: a spread or a loop over so many takes several times as long. */
export function textOf(event: Omit<ChainedEvent, 'mac'>): EventText {
  return {
    id: event.id,
    chain: event.chain,
    sequence: String(event.sequence),
    occurredAt: String(event.occurredAt.getTime()),
    actorKind: event.actorKind,
    actor: event.actor,
    action: event.action,
    targetType: event.targetType,
    targetId: event.targetId,
    provider: event.provider,
    requestId: event.requestId,
    address: event.address,
    details: canonicalJson(event.details),
    dataKeyId: event.dataKeyId,
  };
}

/** @param previous the MAC of the event before; empty for the first of a chain */
export function macOf(key: Buffer, event: EventText, previous: Buffer): Buffer {
  const fields = [
    EVENT,
    VERSION,
    previous.toString('hex'),
    nullable(event.id),
    nullable(event.chain),
    nullable(event.sequence),
    nullable(event.occurredAt),
    nullable(event.actorKind),
    nullable(event.actor),
    nullable(event.action),
    nullable(event.targetType),
    nullable(event.targetId),
    nullable(event.provider),
    nullable(event.requestId),
    nullable(event.address),
    nullable(event.details),
    nullable(event.dataKeyId),
  ];
  return createHmac('sha256', key).update(encodeAad(fields)).digest();
}

const nullable = (text: string | null) => (text === null ? '' : `=${text}`);

export function checkpointSignature(key: Buffer, { chain, sequence, mac, cutAt, dataKeyId }: CheckpointText): Buffer {
  const fields = [CHECKPOINT, VERSION, chain, sequence, mac, cutAt, dataKeyId];
  return createHmac('sha256', key).update(encodeAad(fields)).digest();
}

const STRINGS = /"(?:[^"\\]|\\.)*"/g;
/** PostgreSQL keeps 1.0 and 1.00000000000000000001, which JavaScript reads as 1. */
const UNLIKE_IN_JAVASCRIPT = /\.|\d{16}/;

/** The canonical form of what PostgreSQL wrote of a jsonb; what nobody here has written stays as it is, and is no such form. */
export function canonicalDetails(stored: string): string {
  if (UNLIKE_IN_JAVASCRIPT.test(stored.replace(STRINGS, ''))) return stored;
  return canonicalJson(JSON.parse(stored));
}
