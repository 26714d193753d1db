import { describe, expect, test } from '@jest/globals';
import { FakeClock } from '../base/clock.js';
import { ApplyLoop } from './apply-loop.js';
import type { Dataplane } from './dataplane.js';

/** Each apply() waits until the test ends it. */
class HeldDataplane implements Dataplane {
  readonly name = 'ebpf';
  readonly held: { readonly end: () => void; readonly fail: (error: unknown) => void }[] = [];
  applies = 0;
  dirty: () => void = () => undefined;

  onUpdate(): void {}
  queueResync(): void {}
  onDirty(callback: () => void): void {
    this.dirty = callback;
  }
  apply(): Promise<void> {
    this.applies++;
    return new Promise((end, fail) => {
      this.held.push({ end, fail });
    });
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

function world() {
  const clock = new FakeClock();
  const stop = new AbortController();
  const dataplane = new HeldDataplane();
  const done: unknown[] = [];
  const loop = new ApplyLoop({
    ...{ dataplane, clock, onStart: () => undefined },
    onDone: (error) => void done.push(error),
  });
  const running = loop.run({ signal: stop.signal });
  const settle = () => clock.advance(0);
  const end = async (error?: unknown) => {
    const apply = dataplane.held.shift();
    if (error === undefined) apply?.end();
    else apply?.fail(error);
    await settle();
  };
  return { clock, stop, dataplane, done, loop, running, settle, end };
}

describe('the apply loop', () => {
  test('nothing is applied before somebody asks', async () => {
    const { clock, dataplane } = world();
    await clock.advance(60_000);
    expect(dataplane.applies).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('requests while an apply runs become one more', async () => {
    const { dataplane, loop, settle, end, done } = world();
    loop.request();
    loop.request();
    await settle();
    expect(dataplane.applies).toBe(1);
    for (let i = 0; i < 5; i++) loop.request();
    await end();
    expect(dataplane.applies).toBe(2);
    await end();
    expect(dataplane.applies).toBe(2);
    expect(done).toEqual([undefined, undefined]);
  });

  test('what becomes dirty outside is applied', async () => {
    const { dataplane, settle } = world();
    dataplane.dirty();
    await settle();
    expect(dataplane.applies).toBe(1);
  });

  test('a failed apply is tried again after 50 ms, then twice as long, up to 5 s', async () => {
    const { clock, dataplane, loop, settle, end, done } = world();
    loop.request();
    await settle();
    for (const pauseMs of [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
      const { applies } = dataplane;
      await end(new Error('kernel says no'));
      await clock.advance(pauseMs - 1);
      expect(dataplane.applies).toBe(applies);
      await clock.advance(1);
      expect(dataplane.applies).toBe(applies + 1);
    }
    await end();
    await clock.advance(60_000);
    expect(dataplane.applies).toBe(10);
    expect(done.at(-1)).toBeUndefined();
  });

  test('after a success the first pause is short again', async () => {
    const { clock, dataplane, loop, settle, end } = world();
    loop.request();
    await settle();
    await end(new Error('once'));
    await clock.advance(50);
    await end(new Error('twice'));
    loop.request();
    await settle();
    await end();
    loop.request();
    await settle();
    await end(new Error('again'));
    const { applies } = dataplane;
    await clock.advance(50);
    expect(dataplane.applies).toBe(applies + 1);
  });

  test('a request does not wait for the retry', async () => {
    const { dataplane, loop, settle, end } = world();
    loop.request();
    await settle();
    await end(new Error('no'));
    loop.request();
    await settle();
    expect(dataplane.applies).toBe(2);
  });

  test('abort ends an idle loop and one that waits for its retry, without a timer left', async () => {
    const idle = world();
    idle.stop.abort();
    await idle.running;
    const retrying = world();
    retrying.loop.request();
    await retrying.settle();
    await retrying.end(new Error('no'));
    expect(retrying.clock.pendingTimers).toBe(1);
    retrying.stop.abort();
    await retrying.running;
    expect(retrying.clock.pendingTimers).toBe(0);
  });

  test('an apply that was aborted is not reported', async () => {
    const { loop, stop, settle, end, running, done } = world();
    loop.request();
    await settle();
    stop.abort();
    await end(new Error('aborted'));
    await running;
    expect(done).toEqual([]);
  });
});
