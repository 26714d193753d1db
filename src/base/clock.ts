/** Time as a dependency, so that tests move it instead of waiting. */
import { assert } from './assert.js';

export interface Clock {
  /** Milliseconds since 1970, for stamps that people or other hosts read. May jump. */
  now(): number;
  /** Milliseconds since some moment, for measuring. Never goes back. */
  monotonic(): number;
  /** Calls once, after at least that many milliseconds, unless the timer is disposed of before. */
  after(delayMs: number, callback: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

interface FakeTimer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Stands still until it is advanced. */
export class FakeClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  /** In the order in which they were set, which decides among those due at once. */
  readonly #timers = new Set<FakeTimer>();

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): Disposable {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Timers that have neither fired nor been disposed of: zero after a clean end. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Fires what becomes due, in order, timers set meanwhile included; then lets promises settle. */
  async advance(byMs: number): Promise<void> {
    assert(byMs >= 0, `a clock cannot go back by ${-byMs} ms`);
    const endMs = this.#elapsedMs + byMs;
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const timer = this.#nextUntil(endMs);
      if (timer === undefined) break;
      this.#moveTo(timer.dueMs);
      this.#timers.delete(timer);
      timer.callback();
    }
    this.#moveTo(endMs);
  }

  #moveTo(elapsedMs: number): void {
    this.#nowMs += elapsedMs - this.#elapsedMs;
    this.#elapsedMs = elapsedMs;
  }

  #nextUntil(endMs: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}
