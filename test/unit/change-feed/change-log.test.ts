import { beforeEach, describe, expect, it } from 'vitest';
import { ChangeLog } from '../../../src/database/change-feed/change-log.ts';

/** How many changes it tells apart; more than these, and everything may have changed. */
const REMEMBERED = 1_024;

describe('ChangeLog', () => {
  let log: ChangeLog;
  beforeEach(() => {
    log = new ChangeLog();
    log.follow();
  });
  /** Where a read begins now. */
  function position(): number {
    expect(log.position).not.toBeNull();
    return log.position ?? Number.NaN;
  }

  it('has no position until the feed is followed, so that nothing read before is remembered', () => {
    const untouched = new ChangeLog();
    expect(untouched.position).toBeNull();
    expect(untouched.unchangedSince(0, 'a')).toBe(false);
  });

  it('says that nothing has changed when nothing has', () => {
    expect(log.unchangedSince(position(), 'a', 'b')).toBe(true);
  });

  it('says of each subject by itself whether it has changed since', () => {
    const since = position();
    log.changed('a');
    expect(log.unchangedSince(since, 'a')).toBe(false);
    expect(log.unchangedSince(since, 'b')).toBe(true);
  });

  it('says that something has changed when one of several subjects has', () => {
    const since = position();
    log.changed('organization');
    expect(log.unchangedSince(since, 'key', 'organization')).toBe(false);
    expect(log.unchangedSince(since, 'organization', 'key')).toBe(false);
    expect(log.unchangedSince(since, 'key', 'another')).toBe(true);
  });

  it('counts no change from before the read began', () => {
    log.changed('a');
    expect(log.unchangedSince(position(), 'a')).toBe(true);
  });

  it('does not take a change of everything for one from before the read that began after it', () => {
    log.changed('a');
    log.everythingChanged();
    expect(log.unchangedSince(position(), 'a')).toBe(true);
  });

  it('says that every subject has changed when everything has, of whatever came after it too', () => {
    const since = position();
    log.everythingChanged();
    log.changed('a');
    expect(log.unchangedSince(since, 'a')).toBe(false);
    expect(log.unchangedSince(since, 'b')).toBe(false);
  });

  it.each([0, 1, 7, REMEMBERED - 1, REMEMBERED, REMEMBERED + 1, 3 * REMEMBERED + 5])(
    'tells subjects apart over as many changes as it remembers, after %i others',
    (before) => {
      for (let n = 0; n < before; n += 1) log.changed('before');
      const since = position();
      log.changed('first');
      for (let n = 2; n < REMEMBERED; n += 1) log.changed(`between ${n}`);
      log.changed('last');
      expect(log.unchangedSince(since, 'another')).toBe(true);
      expect(log.unchangedSince(since, 'before')).toBe(true);
      expect(log.unchangedSince(since, 'first')).toBe(false);
      expect(log.unchangedSince(since, 'last')).toBe(false);
    },
  );

  it('says that everything may have changed once there were more changes than it remembers', () => {
    const since = position();
    for (let n = 0; n <= REMEMBERED; n += 1) log.changed('somebody');
    expect(log.unchangedSince(since, 'another')).toBe(false);
    expect(log.unchangedSince(position(), 'another')).toBe(true);
  });

  it('vouches for nothing while the feed is lost', () => {
    const since = position();
    log.lose();
    expect(log.position).toBeNull();
    expect(log.unchangedSince(since, 'a')).toBe(false);
  });

  it('vouches, when the feed is followed again, for nothing that was read before', () => {
    const since = position();
    log.lose();
    log.follow();
    expect(log.unchangedSince(since, 'a')).toBe(false);
    expect(log.unchangedSince(position(), 'a')).toBe(true);
  });

  it('keeps what this replica announces while the feed is lost apart from what is read after it', () => {
    log.lose();
    log.changed('a');
    log.follow();
    const since = position();
    expect(log.unchangedSince(since, 'a')).toBe(true);
    log.changed('a');
    expect(log.unchangedSince(since, 'a')).toBe(false);
  });
});
