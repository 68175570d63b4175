import { describe, expect, it } from 'vitest';
import { newCanary } from '../support/canary.ts';

describe('the canary that the other tests look for', () => {
  const { secret, formsIn } = newCanary('sk-');
  const bytes = Buffer.from(secret);

  it.each([
    ['raw', `a ${secret} b`],
    ['raw', secret.toUpperCase()],
    ['raw', JSON.stringify({ [secret]: 1 })],
    ['raw', `Unexpected token 's', "${secret.slice(0, 10)}"... is not valid JSON`],
    ['reversed', [...secret].reverse().join('')],
    ['hex', bytes.toString('hex')],
    ['hex', bytes.toString('hex').toUpperCase()],
    ['base64', bytes.toString('base64')],
    ['base64', Buffer.from(`{"apiKey":"${secret}"}`).toString('base64url')],
    ['base64', Buffer.from(`x${secret}y`).toString('base64')],
    ['base64', Buffer.from(`xy${secret}yz`).toString('base64')],
    ['percent', bytes.toString('hex').replaceAll(/../g, '%$&')],
  ])('is found %s in %s', (form, text) => {
    expect(formsIn(text)).toContain(form);
  });

  it('is not found where it is not', () => {
    const other = newCanary('sk-').secret;
    expect(formsIn(other + Buffer.from(other).toString('hex') + Buffer.from(other).toString('base64'))).toEqual([]);
  });
});
