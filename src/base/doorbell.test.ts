import { describe, expect, test } from '@jest/globals';
import { FakeClock } from './clock.js';
import { Doorbell } from './doorbell.js';

function world() {
  const clock = new FakeClock();
  const stop = new AbortController();
  const bell = new Doorbell({ clock });
  return { clock, stop, bell, signal: stop.signal };
}

describe('a doorbell', () => {
  test('rings before the wait count as one', async () => {
    const { bell, clock, signal } = world();
    bell.ring();
    bell.ring();
    expect(await bell.wait({ signal })).toBe(true);
    let woken = false;
    const second = bell.wait({ signal }).then(() => {
      woken = true;
    });
    await clock.advance(1_000_000);
    expect(woken).toBe(false);
    bell.ring();
    await second;
  });

  test('a ring ends the wait and leaves no timer', async () => {
    const { bell, clock, signal } = world();
    const waiting = bell.wait({ signal, timeoutMs: 100 });
    expect(clock.pendingTimers).toBe(1);
    bell.ring();
    expect(await waiting).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('the wait ends by itself when the time is over', async () => {
    const { bell, clock, signal } = world();
    const waiting = bell.wait({ signal, timeoutMs: 100 });
    await clock.advance(100);
    expect(await waiting).toBe(true);
  });

  test('abort ends the wait and leaves no timer', async () => {
    const { bell, clock, stop, signal } = world();
    const waiting = bell.wait({ signal, timeoutMs: 100 });
    stop.abort();
    expect(await waiting).toBe(false);
    expect(clock.pendingTimers).toBe(0);
    bell.ring();
    expect(await bell.wait({ signal })).toBe(false);
  });
});
