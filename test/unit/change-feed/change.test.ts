import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  keyHashOf,
  membershipChange,
  parseChange,
  REVEAL_FREEZES,
  subjectOf,
} from '../../../src/database/change-feed/change.ts';
import { hashKeyText } from '../../../src/key-format.ts';

const HASH = createHash('sha256').update('somebody').digest();
const NAME = HASH.toString('base64');
const ORGANIZATION = '018f4e3c-0000-7000-8000-00000000000a';

describe('a change, as it is announced', () => {
  it.each(['created', 'changed', 'revoked'])('is of an API key that was %s, known by its hash', (verb) => {
    const change = parseChange(`api-key ${verb} ${NAME}`);
    expect(change).toEqual({ kind: `api-key-${verb}`, keyHash: keyHashOf(HASH) });
    expect(subjectOf(change)).toBe(keyHashOf(HASH));
  });

  it.each(['created', 'changed', 'revoked'])('is of a service key that was %s, known by its hash', (verb) => {
    const change = parseChange(`service-key ${verb} ${NAME}`);
    expect(change).toEqual({ kind: `service-key-${verb}`, keyHash: keyHashOf(HASH) });
    expect(subjectOf(change)).toBe(keyHashOf(HASH));
  });

  it('names an API key as a validation of it does, whatever bytes its hash has', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        const name = createHash('sha256').update(key).digest('base64');
        expect(subjectOf(parseChange(`api-key revoked ${name}`))).toBe(hashKeyText(key));
      }),
    );
  });

  it('is of an organisation, known by its id', () => {
    const change = parseChange(`organization changed ${ORGANIZATION}`);
    expect(change).toEqual({ kind: 'organization-changed', organizationId: ORGANIZATION });
    expect(subjectOf(change)).toBe(ORGANIZATION);
  });

  it('is of a data key that is gone, known by its id', () => {
    const change = parseChange(`data-key removed ${ORGANIZATION}`);
    expect(change).toEqual({ kind: 'data-key-removed', dataKeyId: ORGANIZATION });
    expect(subjectOf(change)).toBe(ORGANIZATION);
  });

  it('is of the members of an organisation, known by its id at Clerk', () => {
    const change = parseChange(membershipChange('org_fake-1'));
    expect(change).toEqual({ kind: 'membership-changed', clerkOrgId: 'org_fake-1' });
    expect(subjectOf(change)).toBe('org_fake-1');
  });

  it("is of the platform's key of a provider, which nothing else is named like", () => {
    const change = parseChange('platform-key changed open-ai-2');
    expect(change).toEqual({ kind: 'platform-key-changed', provider: 'open-ai-2' });
    expect(subjectOf(change)).toBe('platform-key open-ai-2');
  });

  it('is of what reveals are frozen', () => {
    const change = parseChange('reveal-freezes changed');
    expect(change).toEqual({ kind: 'reveal-freezes-changed' });
    expect(subjectOf(change)).toBe(REVEAL_FREEZES);
  });

  it('is of everything', () => {
    const change = parseChange('everything changed');
    expect(change).toEqual({ kind: 'everything-changed' });
    expect(subjectOf(change)).toBeNull();
  });

  it.each([
    '',
    ' ',
    'api-key',
    'api-key revoked',
    'api-key revoked ',
    `api-key rotated ${NAME}`,
    `service-key rotated ${NAME}`,
    `key revoked ${NAME}`,
    `api-key  revoked ${NAME}`,
    `API-KEY revoked ${NAME}`,
    `api-key revoked ${NAME.slice(0, -4)}`,
    `api-key revoked ${NAME} ${NAME}`,
    `api-key revoked ${HASH.toString('hex')}`,
    'api-key revoked \u0000',
    'data-key removed',
    'data-key removed org_fake',
    'membership changed ',
    'membership changed two words',
    'organization changed',
    'organization changed ',
    `organization removed ${ORGANIZATION}`,
    `organization changed ${ORGANIZATION} openai`,
    `organizations changed ${ORGANIZATION}`,
    `workspace changed ${ORGANIZATION}`,
    'platform-key changed ',
    'platform-key changed OpenAI',
    `platform-key changed ${'a'.repeat(64)}`,
    'platform-key removed openai',
    'reveal-freezes changed ',
    'reveal-freezes',
    '{"kind":"api-key-revoked"}',
  ])('is one of everything when it is not understood: %j', (payload) => {
    expect(parseChange(payload)).toEqual({ kind: 'everything-changed' });
  });

  it('is one of everything for any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (payload) => {
        expect(parseChange(payload)).toEqual({ kind: 'everything-changed' });
      }),
    );
  });
});
