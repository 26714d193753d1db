import { describe, expect, test } from '@jest/globals';
import { FakeClock, systemClock } from './clock.js';

describe('FakeClock', () => {
  test('fires what becomes due, in order of time and then of setting, at its own time', async () => {
    const clock = new FakeClock(1_000);
    const fired: string[] = [];
    const note = (name: string) => () => fired.push(`${name} at ${clock.monotonic()}`);
    clock.after(30, note('c'));
    clock.after(10, note('a'));
    clock.after(30, note('d'));
    clock.after(20, () => {
      note('b')();
      clock.after(5, note('set by b'));
    });
    clock.after(31, note('too late'));
    await clock.advance(30);
    expect(fired).toEqual(['a at 10', 'b at 20', 'set by b at 25', 'c at 30', 'd at 30']);
    expect([clock.now(), clock.pendingTimers]).toEqual([1_030, 1]);
  });

  test('a timer that was disposed of does not fire, and code between timers gets to run', async () => {
    const clock = new FakeClock();
    let count = 0;
    clock.after(1, () => count++)[Symbol.dispose]();
    const loop = (async () => {
      for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => clock.after(10, resolve));
      return clock.now();
    })();
    await clock.advance(100);
    await expect(loop).resolves.toBe(30);
    expect([count, clock.pendingTimers]).toEqual([0, 0]);
    await expect(clock.advance(-1)).rejects.toThrow('cannot go back');
  });
});

describe('systemClock', () => {
  test('measures forward and fires once', async () => {
    const before = systemClock.monotonic();
    await new Promise<void>((resolve) => systemClock.after(5, resolve));
    expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(4);
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
    systemClock
      .after(0, () => {
        throw new Error('fired although disposed of');
      })
      [Symbol.dispose]();
  });
});
