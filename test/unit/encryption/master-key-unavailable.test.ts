import { describe, expect, it } from 'vitest';
import { MasterKeyUnavailable } from '../../../src/encryption/master-key-unavailable.ts';

describe('MasterKeyUnavailable', () => {
  it('has a reason that may be printed, and is no refusal unless it says so', () => {
    const error = new MasterKeyUnavailable('ECONNREFUSED');
    expect(error).toMatchObject({
      name: 'MasterKeyUnavailable',
      message: 'The master key cannot be used: ECONNREFUSED',
      reason: 'ECONNREFUSED',
      isRefusal: false,
    });
    expect(new MasterKeyUnavailable('NotFoundException', { isRefusal: true }).isRefusal).toBe(true);
  });
});
