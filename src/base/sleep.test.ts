import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { FakeClock } from './clock.js';
import { abortable, sleep } from './sleep.js';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('sleep', () => {
  test('ends when its time is over, leaving nothing behind', async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    let done = false;
    const sleeping = sleep(10, { signal, clock }).then(() => {
      done = true;
    });
    await clock.advance(9);
    expect(done).toBe(false);
    await clock.advance(1);
    await sleeping;
    expect([clock.pendingTimers, listeners(signal)]).toEqual([0, 0]);
  });

  test('abort throws the reason at once, leaving nothing behind', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const sleeping = sleep(10, { signal: controller.signal, clock });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(sleep(10, { signal: controller.signal, clock })).rejects.toBe(reason);
    expect([clock.pendingTimers, listeners(controller.signal)]).toEqual([0, 0]);
  });

  test('uses the clock of the system unless told otherwise', async () => {
    await sleep(1, new AbortController());
  });
});

describe('abortable', () => {
  test('is the promise, if that comes first', async () => {
    const { signal } = new AbortController();
    await expect(abortable(Promise.resolve(1), { signal })).resolves.toBe(1);
    await expect(abortable(Promise.reject(new Error('no')), { signal })).rejects.toThrow('no');
    expect(listeners(signal)).toBe(0);
  });

  test('is the reason, if abort comes first; a later failure of the promise bothers nobody', async () => {
    const controller = new AbortController();
    const { promise, reject } = withReject();
    const waiting = abortable(promise, controller);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    reject(new Error('late'));
    await expect(abortable(Promise.resolve(1), controller)).rejects.toThrow('enough');
    expect(listeners(controller.signal)).toBe(0);
  });
});

function withReject(): { promise: Promise<void>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((_, fail) => {
    reject = fail;
  });
  return { promise, reject };
}
