import { beforeEach, describe, expect, it } from 'vitest';
import { type Instant, Lease } from '../../../src/database/change-feed/lease.ts';

const DURATION_MS = 2_000;

describe('Lease', () => {
  let now: Instant;
  let lease: Lease;
  beforeEach(() => {
    now = { monotonicMs: 50_000, wallMs: 1_900_000_000_000 };
    lease = new Lease(DURATION_MS, () => ({ ...now }));
  });
  /** Time as both clocks see it, unless they are moved apart. */
  const pass = (monotonicMs: number, wallMs = monotonicMs) => {
    now = { monotonicMs: now.monotonicMs + monotonicMs, wallMs: now.wallMs + wallMs };
  };

  it('is not held before the first probe has come back', () => {
    expect(lease.held).toBe(false);
  });

  it('is held until its duration after the probe was sent, and not at that instant', () => {
    lease.renew(now);
    expect(lease.held).toBe(true);
    pass(DURATION_MS - 1);
    expect(lease.held).toBe(true);
    pass(1);
    expect(lease.held).toBe(false);
  });

  it('counts from when the probe was sent, not from when it came back', () => {
    const sentAt = now;
    pass(DURATION_MS - 1);
    lease.renew(sentAt);
    expect(lease.held).toBe(true);
    pass(1);
    expect(lease.held).toBe(false);
  });

  it('is not had from a probe that came back after all of its duration, as after a process was stopped', () => {
    const sentAt = now;
    pass(DURATION_MS);
    lease.renew(sentAt);
    expect(lease.held).toBe(false);
  });

  it('is prolonged by each later probe', () => {
    for (let probe = 0; probe < 10; probe += 1) {
      lease.renew(now);
      pass(DURATION_MS - 1);
      expect(lease.held).toBe(true);
    }
  });

  it('is not shortened by an earlier probe that a later one overtook', () => {
    const earlier = now;
    pass(500);
    lease.renew(now);
    lease.renew(earlier);
    pass(DURATION_MS - 1);
    expect(lease.held).toBe(true);
    pass(1);
    expect(lease.held).toBe(false);
  });

  it('does not outlive a suspended machine, whose monotonic clock stood still', () => {
    lease.renew(now);
    pass(10, 3_600_000);
    expect(lease.held).toBe(false);
  });

  it('is not had back from a probe that was sent before the machine was suspended', () => {
    const sentAt = now;
    pass(10, 3_600_000);
    lease.renew(sentAt);
    expect(lease.held).toBe(false);
  });

  it('does not last longer when the wall clock is set back', () => {
    lease.renew(now);
    pass(DURATION_MS - 1, -3_600_000);
    expect(lease.held).toBe(true);
    pass(1);
    expect(lease.held).toBe(false);
  });

  it('is had again from the next probe after the wall clock was set, in either direction', () => {
    for (const jumpMs of [-3_600_000, 3_600_000]) {
      lease.renew(now);
      pass(1, jumpMs);
      lease.renew(now);
      expect(lease.held).toBe(true);
      pass(DURATION_MS);
      expect(lease.held).toBe(false);
    }
  });

  it('ends at once when it is ended, and is had again from the next probe', () => {
    lease.renew(now);
    lease.end();
    expect(lease.held).toBe(false);
    pass(1);
    lease.renew(now);
    expect(lease.held).toBe(true);
  });
});

describe('the clocks of the system', () => {
  it('give a lease that begins, and ends by itself', async () => {
    const lease = new Lease(30);
    lease.renew({ monotonicMs: performance.now(), wallMs: Date.now() });
    expect(lease.held).toBe(true);
    await expect.poll(() => lease.held).toBe(false);
  });
});
