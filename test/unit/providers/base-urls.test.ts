import { describe, expect, it } from 'vitest';
import { BaseUrlProblem, readBaseUrls } from '../../../src/providers/base-urls.ts';

const urlOf = (url: string) => readBaseUrls(`openai=${url}`)[0];

function problemOf(list: string): string {
  try {
    readBaseUrls(list);
    return '';
  } catch (error) {
    if (error instanceof BaseUrlProblem) return error.message;
    throw error;
  }
}

describe('a list of base URLs', () => {
  it('is read with the white space around its parts, and slashes at the end of a URL, left out', () => {
    const list =
      ' openai = https://gateway.example/v1/ ,\n anthropic=https://gateway.example//,xai=http://localhost:4000';
    expect(readBaseUrls(list)).toEqual([
      { provider: 'openai', url: 'https://gateway.example/v1', reach: 'public' },
      { provider: 'anthropic', url: 'https://gateway.example', reach: 'public' },
      { provider: 'xai', url: 'http://localhost:4000', reach: 'loopback' },
    ]);
  });

  it('may have a URL with an equals sign, and one with a comma that is encoded', () => {
    expect(urlOf('https://gateway.example/a=b/c%2Cd')?.url).toBe('https://gateway.example/a=b/c%2Cd');
  });

  it.each([
    '',
    'openai',
    '=https://gateway.example',
    'openai=https://gateway.example,',
    'OpenAI=https://gateway.example',
  ])('is none like %j', (list) => expect(problemOf(list)).toMatch(/^must be a list like /));

  it.each(['unknown', 'twilio', '__proto__', 'constructor'])('names no provider that cannot be checked: %s', (slug) => {
    expect(problemOf(`openai=https://gateway.example,${slug}=https://gateway.example`)).toMatch(/entry 2 is not$/);
  });

  it('names no provider twice', () => {
    const list = 'openai=https://one.example,xai=https://one.example,openai=https://two.example';
    expect(problemOf(list)).toBe('must name each provider once; entry 3 names one again');
  });
});

describe('a base URL', () => {
  it.each([
    'gateway.example',
    'https://',
    'https://user@gateway.example',
    'https://user:secret@gateway.example',
    'https://:secret@gateway.example',
    'https://gateway.example?key=secret',
    'https://gateway.example/v1?',
    'https://gateway.example/v1#',
    'https://gateway.example/v1#part',
  ])('is refused for what it holds or lacks: %s', (url) => {
    expect(problemOf(`openai=${url}`)).toMatch(/without user, password, query and fragment; entry 1 has another$/);
  });

  it.each([
    'http://gateway.example',
    'http://1.1.1.1',
    'ftp://gateway.example',
    'file:///etc/passwd',
    'http://localhost.example',
  ])('is https, or http on this machine: not %s', (url) =>
    expect(problemOf(`openai=${url}`)).toMatch(/^must have https URLs/),
  );

  it.each([
    'localhost',
    'LOCALHOST',
    '127.0.0.1',
    '127.1',
    '127.255.255.254',
    '2130706433',
    '017700000001',
    '0x7f.1',
    '0x7f000001',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '１２７.0.0.1',
  ])('means this machine: %s, with http too', (host) => {
    expect(urlOf(`https://${host}:8443`)?.reach).toBe('loopback');
    expect(urlOf(`http://${host}:8080`)?.reach).toBe('loopback');
  });

  it.each([
    '10.0.0.1',
    '167772161',
    '012.0.0.1',
    '0x0a000001',
    '192.168.1',
    '172.16.0.1',
    '169.254.169.254',
    '2852039166',
    '0251.0376.0251.0376',
    '0xa9.254.0xa9fe',
    '１６９.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '0.0.0.0',
    '0',
    '255.255.255.255',
    '192.0.2.1',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:1.1.1.1]',
    '[::127.0.0.1]',
    '[fe80::1]',
    '[fd00::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:db8::1]',
    '[2001:0:7f00:1::]',
  ])('leads to no address that is not the internet, however it is written: %s', (host) => {
    expect(problemOf(`openai=https://${host}/v1`)).toBe(
      'must not lead to private, link-local or reserved addresses; entry 1 does',
    );
    expect(problemOf(`openai=http://${host}/v1`)).toMatch(/^must have https URLs/);
  });

  it.each(['gateway.example', '1.1.1.1', '[2606:4700:4700::1111]', 'localhost.', 'localhost.example', 'a.localhost'])(
    'means the internet, whatever its name resolves to: %s',
    (host) => expect(urlOf(`https://${host}`)?.reach).toBe('public'),
  );

  it('is never part of what is said about it', () => {
    const canary = 'canary8f3b';
    for (const list of [
      canary,
      `${canary}=https://gateway.example`,
      `openai=${canary}`,
      `openai=http://${canary}.example`,
      `openai=https://${canary}@gateway.example`,
      `openai=https://10.0.0.1/${canary}`,
      `openai=https://${canary}.example,openai=https://${canary}.example`,
    ]) {
      expect(problemOf(list)).toMatch(/^must /);
      expect(problemOf(list)).not.toContain(canary);
    }
  });
});
