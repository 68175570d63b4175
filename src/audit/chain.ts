import type { DataKey } from '../encryption/sealed-secret.ts';
import type { ChainedEvent, Head, UnchainedEvent } from './event.ts';
import { macOf, textOf } from './event-mac.ts';

export interface Linked {
  events: ChainedEvent[];
  /** Of every chain that has grown. */
  heads: Head[];
  /** Events of chains that have no head: somebody has deleted it. */
  homeless: UnchainedEvent[];
}

/** Gives events their places behind the heads of their chains, in the order in which they come. */
export function link(key: DataKey, heads: readonly Head[], events: readonly UnchainedEvent[]): Linked {
  const current = new Map(heads.map((head) => [head.chain, head]));
  const moved = new Map<string, Head>();
  const linked: Linked = { events: [], heads: [], homeless: [] };
  for (const event of events) {
    const before = current.get(event.chain);
    if (before === undefined) {
      linked.homeless.push(event);
      continue;
    }
    const sequence = before.sequence + 1;
    const placed = placedAt(sequence, event, key.id);
    const mac = macOf(key.key, textOf(placed), before.mac);
    placed.mac = mac.toString('hex');
    const head = { chain: event.chain, sequence, mac };
    linked.events.push(placed);
    current.set(event.chain, head);
    moved.set(event.chain, head);
  }
  linked.heads = [...moved.values()];
  return linked;
}

function placedAt(sequence: number, event: UnchainedEvent, dataKeyId: string): ChainedEvent {
  return {
    id: event.id,
    chain: event.chain,
    sequence,
    occurredAt: event.occurredAt,
    actorKind: event.actorKind,
    actor: event.actor,
    action: event.action,
    targetType: event.targetType,
    targetId: event.targetId,
    provider: event.provider,
    requestId: event.requestId,
    address: event.address,
    details: event.details,
    dataKeyId,
    mac: '',
  };
}
