import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Details } from '../../../src/audit/event.ts';
import { canonicalDetails, checkpointSignature, type EventText, macOf, textOf } from '../../../src/audit/event-mac.ts';

const KEY = Buffer.alloc(32, 7);
const PREVIOUS = Buffer.alloc(32, 1);
const written = {
  id: '01890000-0000-7000-8000-000000000001',
  chain: '01890000-0000-7000-8000-000000000002',
  sequence: 3,
  occurredAt: new Date(1_800_000_000_123),
  actorKind: 'service',
  actor: 'root',
  action: 'provider_key.revealed',
  targetType: 'provider-key',
  targetId: '01890000-0000-7000-8000-000000000003',
  provider: 'openai',
  requestId: 'request',
  address: null,
  details: { version: 1, source: 'own' },
  dataKeyId: '01890000-0000-7000-8000-000000000004',
} as const;
const event: EventText = textOf(written);
const detailsText = (details: Details) => textOf({ ...written, details }).details;
const columns = Object.keys(event) as (keyof EventText)[];
const anyColumn = fc.option(fc.string({ unit: 'binary' }), { nil: null });

describe('The MAC of an event', () => {
  it('is the one that it was: chains that exist must verify for ever', () => {
    expect(macOf(KEY, event, PREVIOUS).toString('base64')).toBe('GSqYHBVmjvbgRtL204T5aEdzRLJaO9aAofOQy10okec=');
  });

  it.each(columns)('depends on the column %s', (column) => {
    fc.assert(
      fc.property(anyColumn, (value) => {
        fc.pre(value !== event[column]);
        expect(macOf(KEY, { ...event, [column]: value }, PREVIOUS)).not.toEqual(macOf(KEY, event, PREVIOUS));
      }),
    );
  });

  it('differs for any two events, whatever moves from one column into the next', () => {
    const anyEvent = fc.record(
      Object.fromEntries(columns.map((column) => [column, anyColumn])),
    ) as fc.Arbitrary<EventText>;
    fc.assert(
      fc.property(anyEvent, anyEvent, (one, other) => {
        const same = columns.every((column) => one[column] === other[column]);
        expect(macOf(KEY, one, PREVIOUS).equals(macOf(KEY, other, PREVIOUS))).toBe(same);
      }),
    );
    for (const [index, column] of columns.entries()) {
      const next = columns[index + 1];
      if (next === undefined) continue;
      const [left, right] = [
        { ...event, [column]: 'ab', [next]: 'c' },
        { ...event, [column]: 'a', [next]: 'bc' },
      ];
      expect(macOf(KEY, left, PREVIOUS)).not.toEqual(macOf(KEY, right, PREVIOUS));
    }
  });

  it('depends on the key, and on the MAC before it', () => {
    const mac = macOf(KEY, event, PREVIOUS);
    expect(macOf(Buffer.alloc(32, 8), event, PREVIOUS)).not.toEqual(mac);
    expect(macOf(KEY, event, Buffer.alloc(0))).not.toEqual(mac);
    expect(macOf(KEY, event, Buffer.alloc(32, 2))).not.toEqual(mac);
  });

  it('is no signature of a checkpoint', () => {
    const checkpoint = {
      chain: String(event.chain),
      sequence: '3',
      mac: '',
      cutAt: '0',
      dataKeyId: String(event.dataKeyId),
    };
    const signature = checkpointSignature(KEY, checkpoint);
    for (const name of Object.keys(checkpoint)) {
      expect(checkpointSignature(KEY, { ...checkpoint, [name]: 'x' })).not.toEqual(signature);
    }
    expect(signature).toHaveLength(32);
  });
});

describe('The canonical form of details', () => {
  it('is the same whatever the order of their names and the spaces', () => {
    expect(canonicalDetails('{"b": [1, "x"], "a": {"d": null, "c": true}}')).toBe(
      '{"a":{"c":true,"d":null},"b":[1,"x"]}',
    );
    expect(detailsText({ b: 2, a: 1 })).toBe('{"a":1,"b":2}');
  });

  it.each(['{"a": 1.0}', '{"a": 1.00000000000000000001}', '{"a": 12345678901234567890}', '[1.5]'])(
    'is none of %s, which JavaScript reads as something else',
    (stored) => {
      expect(canonicalDetails(stored)).toBe(stored);
    },
  );

  it('is not disturbed by what looks like a number in a text', () => {
    expect(canonicalDetails('{"a": "1.0 \\" 12345678901234567890"}')).toBe('{"a":"1.0 \\" 12345678901234567890"}');
  });

  it('comes back from what was written of it', () => {
    const details = fc.dictionary(
      fc.string(),
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string())),
    );
    fc.assert(
      fc.property(details, (value) => {
        const text = detailsText(value) ?? '';
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalDetails(JSON.stringify(value, null, 1))).toBe(text);
      }),
    );
  });
});
