import { describe, expect, it } from 'vitest';
import { createMask } from '../../development/demo/mask.ts';

describe('the mask of the demo', () => {
  it('shows of a secret no more than its first characters, wherever it occurs', () => {
    const mask = createMask();
    mask.learn('sk-ant-not-a-real-key-0000');
    const text = '{"apiKey":"sk-ant-not-a-real-key-0000"} sk-ant-not-a-real-key-0000';
    expect(mask.apply(text)).toBe('{"apiKey":"sk-ant••••••••"} sk-ant••••••••');
  });

  it('hides the whole of a secret that begins with another', () => {
    const mask = createMask();
    mask.learn('secret-secret', 'secret-secret-and-more');
    expect(mask.apply('secret-secret-and-more')).not.toContain('more');
  });

  it('shows nothing at all of a very short one, and passes over what is no text', () => {
    const mask = createMask();
    mask.learn('abc', undefined, 42, '');
    expect(mask.apply('abc 42')).toBe('•••••••• 42');
  });
});
